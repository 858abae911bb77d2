"""Things other than creatures: vehicles, food, plants and the sky, buildings, objects, shapes, supports."""

from mini.world.noun import Noun, flyer, thing

VEHICLES = (
    thing("car", "🚗", "汽车 轿车", "automobile", per="辆", hue="red"),
    thing("taxi", "🚕", "出租车 的士", "cab", per="辆"),
    thing("police car", "🚓", "警车", "patrol car", "cop car", per="辆"),
    thing("ambulance", "🚑", "救护车", per="辆"),
    thing("bus", "🚌", "公交车 公共汽车", per="辆", plural="buses"),
    thing("truck", "🚚", "卡车 货车", "lorry", per="辆"),
    thing("fire truck", "🚒", "消防车 救火车", "fire engine", per="辆"),
    thing("tractor", "🚜", "拖拉机", per="辆"),
    thing("bicycle", "🚲", "自行车 单车", "bike", per="辆"),
    thing("motorcycle", "🏍", "摩托车", "motorbike", per="辆", hue="red"),
    thing("train", "🚂", "火车 蒸汽火车", "steam train", "locomotive", per="列"),
    thing("sailboat", "⛵", "帆船 船", "boat", "sailing boat", per="艘"),
    thing("speedboat", "🚤", "快艇 摩托艇", "motorboat", per="艘"),
    thing("ship", "🚢", "轮船 邮轮", "ocean liner", per="艘"),
    flyer("rocket", "🚀", "火箭", "spaceship", per="枚"),
    flyer("airplane", "✈", "飞机", "plane", "aeroplane", "jet", per="架"),
    flyer("helicopter", "🚁", "直升机 直升飞机", "chopper", per="架"),
    flyer("UFO", "🛸", "飞碟 不明飞行物", "flying saucer"),
)

FOOD = (
    thing("apple", "🍎", "苹果", "ripe apple"),
    thing("banana", "🍌", "香蕉", per="根"),
    thing("strawberry", "🍓", "草莓", per="颗", plural="strawberries"),
    thing("watermelon", "🍉", "西瓜", "slice of watermelon", per="块", plural="watermelons"),
    thing("pineapple", "🍍", "菠萝 凤梨"),
    thing("lemon", "🍋", "柠檬"),
    thing("peach", "🍑", "桃子 水蜜桃", plural="peaches"),
    thing("cherry", "🍒", "樱桃", "pair of cherries", per="颗", plural="cherries"),
    thing("bunch of grapes", "🍇", "葡萄", "cluster of grapes", per="串", plural="bunches of grapes"),
    thing("avocado", "🥑", "牛油果 鳄梨"),
    thing("tomato", "🍅", "西红柿 番茄", "ripe tomato", plural="tomatoes"),
    thing("carrot", "🥕", "胡萝卜", per="根"),
    thing("ear of corn", "🌽", "玉米", "corn cob", per="根", plural="ears of corn"),
    thing("eggplant", "🍆", "茄子", "aubergine"),
    thing("head of broccoli", "🥦", "西兰花 花椰菜", "piece of broccoli", per="棵", plural="heads of broccoli"),
    thing("pizza", "🍕", "披萨 比萨", "slice of pizza", "pizza slice", per="块", plural="pizzas"),
    thing("burger", "🍔", "汉堡 汉堡包", "hamburger"),
    thing("hot dog", "🌭", "热狗", "hotdog"),
    thing("taco", "🌮", "塔可 墨西哥卷饼"),
    thing(
        "box of fries",
        "🍟",
        "薯条 炸薯条",
        "box of french fries",
        "portion of fries",
        per="份",
        plural="boxes of fries",
    ),
    thing("fried egg", "🍳", "煎蛋 煎鸡蛋", "egg in a pan", "frying pan"),
    thing("loaf of bread", "🍞", "面包 吐司", "bread loaf", plural="loaves of bread"),
    thing(
        "piece of cheese", "🧀", "奶酪 芝士", "wedge of cheese", "slice of cheese", per="块", plural="pieces of cheese"
    ),
    thing("cake", "🎂", "蛋糕 生日蛋糕", "birthday cake"),
    thing("cupcake", "🧁", "纸杯蛋糕", "muffin"),
    thing("donut", "🍩", "甜甜圈", "doughnut"),
    thing("cookie", "🍪", "饼干 曲奇", "chocolate chip cookie", per="块"),
    thing("ice cream", "🍦", "冰淇淋 冰激凌", "ice cream cone", plural="ice creams"),
    thing("box of popcorn", "🍿", "爆米花", "bag of popcorn", "bucket of popcorn", per="桶", plural="boxes of popcorn"),
    thing("cup of coffee", "☕", "咖啡 热咖啡", "coffee", "coffee cup", per="杯", plural="cups of coffee"),
)

NATURE = (
    thing("tree", "🌳", "树", per="棵"),
    thing("palm tree", "🌴", "棕榈树 椰子树", "palm", per="棵"),
    thing("pine tree", "🌲", "松树 杉树", "fir tree", "evergreen tree", per="棵"),
    thing("flower", "🌸", "花 樱花", "blossom", "cherry blossom", per="朵"),
    thing("sunflower", "🌻", "向日葵", per="朵"),
    thing("rose", "🌹", "玫瑰 玫瑰花", "rose flower", per="朵"),
    thing("tulip", "🌷", "郁金香", "tulip flower", per="朵"),
    thing("cactus", "🌵", "仙人掌", per="棵", plural="cactuses"),
    thing("mushroom", "🍄", "蘑菇", "toadstool"),
    thing("campfire", "🔥", "篝火 火堆", "fire", per="堆"),
    thing("volcano", "🌋", "火山", "erupting volcano", per="座", plural="volcanoes"),
    thing("globe", "🌍", "地球 地球仪", "planet", "Earth globe"),
    flyer("sun", "☀", "太阳"),
    flyer("moon", "🌙", "月亮 弯月", "crescent moon"),
    flyer("rainbow", "🌈", "彩虹", per="道"),
)

BUILDINGS = (
    thing("house", "🏠", "房子 房屋", "home", "cottage", per="座"),
    thing("castle", "🏰", "城堡", per="座"),
    thing("tent", "⛺", "帐篷", per="顶"),
    thing("church", "⛪", "教堂", "chapel", per="座", plural="churches"),
    thing("hospital", "🏥", "医院", per="座"),
    thing("ferris wheel", "🎡", "摩天轮", per="座"),
    thing("Statue of Liberty", "🗽", "自由女神像 自由女神", per="座", plural="Statues of Liberty"),
    thing("Tokyo Tower", "🗼", "东京塔", per="座"),
)

OBJECTS = (
    thing("umbrella", "☂", "雨伞 伞", per="把", hue="purple"),
    flyer("balloon", "🎈", "气球", hue="red"),
    flyer("kite", "🪁", "风筝", per="只"),
    thing("guitar", "🎸", "吉他 电吉他", "electric guitar", per="把"),
    thing("violin", "🎻", "小提琴", "fiddle", per="把"),
    thing("trumpet", "🎺", "小号", per="把"),
    thing("piano", "🎹", "钢琴 琴键", "piano keyboard", per="架"),
    thing("drum", "🥁", "鼓", per="面"),
    thing("soccer ball", "⚽", "足球", "football"),
    thing("basketball", "🏀", "篮球"),
    thing("trophy", "🏆", "奖杯", "winner's cup", plural="trophies"),
    thing("clock", "🕰", "时钟 座钟", "mantel clock"),
    thing("alarm clock", "⏰", "闹钟"),
    thing("book", "📖", "书 书本", "open book", per="本"),
    thing("camera", "📷", "相机 照相机", per="台"),
    thing("phone", "📱", "手机 智能手机", "smartphone", "mobile phone", "cell phone", per="部"),
    thing("laptop", "💻", "笔记本电脑 电脑", "computer", per="台"),
    thing("television", "📺", "电视 电视机", "TV", per="台"),
    thing("gift", "🎁", "礼物 礼品盒", "present", "gift box"),
    thing("light bulb", "💡", "灯泡 电灯泡", "lightbulb"),
    thing("candle", "🕯", "蜡烛", "burning candle", per="根"),
    thing("lantern", "🏮", "灯笼 纸灯笼", "paper lantern", "Chinese lantern", per="盏"),
    thing("pumpkin", "🎃", "南瓜 南瓜灯", "jack-o'-lantern", "halloween pumpkin"),
    thing("bell", "🔔", "铃铛", "hand bell"),
    thing("chair", "🪑", "椅子 木椅", "wooden chair", per="把"),
    thing("teapot", "🫖", "茶壶", "tea pot", per="把"),
    thing("backpack", "🎒", "背包 书包", "rucksack", "school bag"),
    thing("shoe", "👟", "鞋子 运动鞋", "sneaker", "running shoe", per="只"),
    thing("dress", "👗", "裙子 连衣裙", "gown", per="条", plural="dresses"),
    thing("key", "🔑", "钥匙", "door key", per="把"),
    thing("pair of scissors", "✂", "剪刀", per="把", plural="pairs of scissors"),
    thing("hammer", "🔨", "锤子 榔头", per="把"),
    thing("anchor", "⚓", "船锚 锚"),
)

THINGS = VEHICLES + FOOD + NATURE + BUILDINGS + OBJECTS

SHAPES = (
    Noun(name="circle", glyph="", chinese=("圆形", "圆"), synonyms=("disc", "dot")),
    Noun(name="square", glyph="", chinese=("正方形", "方块")),
    Noun(name="triangle", glyph="", chinese=("三角形",)),
    Noun(name="star", glyph="", chinese=("星星", "五角星"), measure_word="颗", synonyms=("five-pointed star",)),
    Noun(name="heart", glyph="", chinese=("爱心", "心形")),
    Noun(name="diamond", glyph="", chinese=("菱形",), synonyms=("rhombus",)),
)

# What other things stand on. They are painted, not cut from the font, and never stand alone.
SUPPORTS = (
    Noun(name="table", glyph="", chinese=("桌子", "木桌"), measure_word="张", synonyms=("wooden table",)),
    Noun(
        name="wooden box",
        glyph="",
        chinese=("木箱", "木箱子"),
        measure_word="只",
        synonyms=("crate", "box"),
        plural="wooden boxes",
    ),
)
