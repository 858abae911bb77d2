"""The ten colours of the world, their pigments and their Chinese words."""

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (226, 52, 46),
    "orange": (247, 140, 32),
    "yellow": (250, 210, 50),
    "green": (62, 168, 74),
    "blue": (44, 108, 222),
    "purple": (132, 70, 196),
    "pink": (246, 134, 182),
    "brown": (134, 84, 50),
    "black": (34, 34, 38),
    "white": (244, 244, 244),
}

CHINESE_COLOURS: dict[str, str] = {
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "black": "黑色",
    "white": "白色",
}

# What a recoloured thing may become: its shades survive a change of hue, but not a change to black or white.
HUES = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
