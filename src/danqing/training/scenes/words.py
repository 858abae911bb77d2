"""The words that stand on signs. Spelled in capitals, a letter to a cell. Knows nothing of pixels or captions.

Half of them are words of English; the other half are random letters, for a sign must be spelled, not known by heart.
"""

import zlib
from random import Random
from string import ascii_uppercase

MIN_LETTERS, MAX_LETTERS = 2, 8
HELD_OUT_ONE_IN = 5
REAL_WORD_CHANCE = 0.5
# Of the words that are not real.
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


def is_held_out_word(word: str) -> bool:
    """Say whether no training picture shows this word, be it real or not."""
    return zlib.crc32(word.encode()) % HELD_OUT_ONE_IN == 0


TRAINED_WORDS = tuple(word for word in WORDS if not is_held_out_word(word))
HELD_OUT_WORDS = tuple(word for word in WORDS if is_held_out_word(word))


def draw_word(rng: Random, *, longest: int) -> str:
    """Draw a word of training, real or not, of at most so many letters."""
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
