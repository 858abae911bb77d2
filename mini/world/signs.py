"""Signs: the words on them, in capitals, and the board that shows one letter per cell.

Half of the words are English; the other half are random letters, because a sign must be spelled, not memorised.
"""

import zlib
from functools import lru_cache
from random import Random
from string import ascii_uppercase

from PIL import Image, ImageDraw, ImageFont

from mini.world.scene import Grid

BOARD, RIM, POST, INK = (250, 244, 226), (142, 88, 48), (120, 76, 44), (40, 36, 48)
LETTER_HEIGHT = 0.84  # of a cell

MIN_LETTERS, MAX_LETTERS = 2, 8
HELD_OUT_ONE_IN = 5
REAL_WORD_CHANCE = 0.5
# Among the words of random letters.
PRONOUNCEABLE_CHANCE = 0.5

_WORDS = """
HI GO UP NO YES ON OFF IN OUT HOT ICE TEA SEA SUN CAT DOG BAR BUS CAR ZOO ART FUN JOY NEW OLD BIG RED BEE BOX KEY
OPEN SALE STOP EXIT CAFE HOME LOVE HELP FOOD PARK SHOP TAXI CAKE FISH MOON STAR WAVE QUIZ JAZZ ZONE GOLD KIWI
SNOW RAIN WIND FIRE HERO KING LUCK MILK WELL COOL VIEW WORK JUMP FAST SLOW BOOK TOYS PIZZA HELLO BEACH HAPPY
MUSIC DANCE PEACE DREAM SMILE MAGIC HOTEL QUEEN WATER PARTY NORTH SOUTH LUNCH EXTRA VIDEO BREAD JUICE GRAND
CLOSED COFFEE GARDEN DANGER SUMMER WINTER SPRING AUTUMN MARKET BAKERY MUSEUM SCHOOL OFFICE CINEMA TICKET PARKING
WELCOME DANQING FLOWERS LIBRARY STATION AIRPORT KITCHEN CHICKEN FOREVER WEDDING WARNING RAINBOW POPCORN TOILETS
BIRTHDAY SUNSHINE FOOTBALL PHARMACY HOSPITAL BOOKSHOP DISCOUNT SWIMMING CONGRATS THANKS FRIEND FAMILY ORANGE
BANANA CHEESE DINNER ENERGY FUTURE PICNIC PLANET ROCKET SILVER TUNNEL VACANCY VILLAGE PYRAMID QUALITY JOURNEY
"""
WORDS = tuple(_WORDS.split())
_VOWELS = "AEIOU"
_CONSONANTS = "".join(letter for letter in ascii_uppercase if letter not in _VOWELS)


def sign_row(grid: Grid) -> int:
    """The row of cells that holds the letters."""
    return max(0, grid.rows // 2 - 1)


def sign_left(grid: Grid, word: str) -> int:
    """The column of the first letter."""
    return (grid.columns - len(word)) // 2


def paint_sign(image: Image.Image, word: str, grid: Grid, cell_px: int, *, on_posts: bool) -> None:
    """Paint the board with the word into the middle of the picture."""
    draw = ImageDraw.Draw(image)
    left, top = sign_left(grid, word) * cell_px, sign_row(grid) * cell_px
    right, bottom = left + len(word) * cell_px, top + cell_px
    rim, post = cell_px * 0.16, cell_px * 0.12
    if on_posts:
        for x in (left + cell_px * 0.5, right - cell_px * 0.5):
            draw.rectangle((x - post, bottom, x + post, (grid.rows - 0.4) * cell_px), fill=POST)
    draw.rounded_rectangle((left - rim, top - rim, right + rim, bottom + rim), radius=rim, fill=RIM)
    inner = rim * 0.35
    draw.rounded_rectangle((left - inner, top - inner, right + inner, bottom + inner), radius=rim / 2, fill=BOARD)
    for k, letter in enumerate(word):
        mask = _letter(letter, cell_px)
        image.paste(INK, (left + k * cell_px, top), mask)


@lru_cache(maxsize=256)
def _letter(letter: str, cell_px: int) -> Image.Image:
    """The letter's mask in a square cell."""
    scale = 4
    side = cell_px * scale
    font = ImageFont.load_default(side * LETTER_HEIGHT)
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).text(
        (side / 2, side * 0.83), letter, font=font, fill=255, anchor="ms", stroke_width=side * 0.025
    )
    return mask.reduce(scale)


def is_held_out_word(word: str) -> bool:
    """Whether training never shows this word, English or not."""
    return zlib.crc32(word.encode()) % HELD_OUT_ONE_IN == 0


TRAINED_WORDS = tuple(word for word in WORDS if not is_held_out_word(word))
HELD_OUT_WORDS = tuple(word for word in WORDS if is_held_out_word(word))


def sample_word(rng: Random, *, longest: int) -> str:
    """Sample a training word, English or not, of at most `longest` letters."""
    if rng.random() < REAL_WORD_CHANCE:
        return rng.choice([word for word in TRAINED_WORDS if len(word) <= longest])
    while True:
        word = _random_letters(rng, rng.randint(MIN_LETTERS, longest))
        if not is_held_out_word(word):
            return word


def _random_letters(rng: Random, num_letters: int) -> str:
    if rng.random() >= PRONOUNCEABLE_CHANCE:
        return "".join(rng.choices(ascii_uppercase, k=num_letters))
    start = rng.randrange(2)
    return "".join(rng.choice((_CONSONANTS, _VOWELS)[(start + k) % 2]) for k in range(num_letters))
