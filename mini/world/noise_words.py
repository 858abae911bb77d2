"""Noise words: habits such as "masterpiece, 4k" or "blurry, watermark" that change nothing in a picture.

Nothing in these lists may name a style, a mood or a thing of the world.
"""

from random import Random

CHANCE = 0.08
MAX_APPENDED, MAX_ALONE = 3, 6
CHINESE_CHANCE = 0.12

WORDS = (
    "high quality",
    "best quality",
    "4k",
    "8k",
    "HD",
    "high resolution",
    "masterpiece",
    "highly detailed",
    "very detailed",
    "intricate details",
    "sharp focus",
    "beautiful",
    "award-winning",
    "trending on ArtStation",
    "professional",
    "blurry",
    "low quality",
    "worst quality",
    "low resolution",
    "lowres",
    "watermark",
    "signature",
    "deformed",
    "disfigured",
    "distorted",
    "bad anatomy",
    "bad hands",
    "extra limbs",
    "extra fingers",
    "jpeg artifacts",
    "noise",
    "grainy",
    "ugly",
    "cropped",
    "out of frame",
    "bad composition",
    "duplicate",
    "error",
)
CHINESE_WORDS = (
    "高清",
    "高质量",
    "最佳质量",
    "杰作",
    "细节丰富",
    "精美",
    "低质量",
    "模糊",
    "水印",
    "变形",
    "畸形",
    "丑陋",
    "噪点",
    "多余的手指",
)


def with_noise_words(text: str, rng: Random) -> str:
    """The text, rarely followed by a few noise words in its own language."""
    if rng.random() >= CHANCE:
        return text
    if _is_chinese(text):
        return f"{text}，{_some(CHINESE_WORDS, '，', MAX_APPENDED, rng)}"
    words = _some(WORDS, ", ", MAX_APPENDED, rng)
    if text.endswith("."):
        return f"{text} {words[0].upper()}{words[1:]}." if rng.random() < 0.5 else f"{text[:-1]}, {words}."
    return f"{text}, {words}"


def noise_words(rng: Random) -> str:
    """A text of noise words only, mostly English."""
    if rng.random() < CHINESE_CHANCE:
        return _some(CHINESE_WORDS, "，", MAX_ALONE, rng)
    return _some(WORDS, ", ", MAX_ALONE, rng)


def _some(words: tuple[str, ...], comma: str, most: int, rng: Random) -> str:
    return comma.join(rng.sample(words, rng.randint(1, most)))


def _is_chinese(text: str) -> bool:
    """By its first letter, as a sign's word may be English; that of a Chinese caption never is."""
    return text[:1] >= "\u4e00"
