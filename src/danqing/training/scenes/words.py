"""The words that stand on signs. Spelled in capitals, a letter to a cell."""

import zlib

MAX_LETTERS = 5
HELD_OUT_ONE_IN = 5

_WORDS = """
HI GO UP NO YES ON OFF IN OUT HOT ICE TEA SEA SUN CAT DOG BAR BUS CAR ZOO ART FUN JOY NEW OLD BIG RED BEE BOX KEY
OPEN SALE STOP EXIT CAFE HOME LOVE HELP FOOD PARK SHOP TAXI CAKE FISH MOON STAR WAVE QUIZ JAZZ ZONE GOLD KIWI
SNOW RAIN WIND FIRE HERO KING LUCK MILK WELL COOL VIEW WORK JUMP FAST SLOW BOOK TOYS PIZZA HELLO BEACH HAPPY
MUSIC DANCE PEACE DREAM SMILE MAGIC HOTEL QUEEN WATER PARTY NORTH SOUTH LUNCH EXTRA VIDEO BREAD JUICE GRAND
"""
WORDS = tuple(_WORDS.split())


def is_held_out_word(word: str) -> bool:
    """Say whether no training picture shows this word."""
    return zlib.crc32(word.encode()) % HELD_OUT_ONE_IN == 0


TRAINED_WORDS = tuple(word for word in WORDS if not is_held_out_word(word))
HELD_OUT_WORDS = tuple(word for word in WORDS if is_held_out_word(word))
