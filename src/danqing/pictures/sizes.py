"""Sizes of images: presets, limits of a side, and the notation of requests."""

import re

MIN_SIDE_PX = 64
MAX_SIDE_PX = 2048
# The model chooses the size.
AUTO = "auto"

# Width and height, in the order of the described schema. Each is a bucket of the published checkpoints.
PRESETS_PX = {
    "square_hd": (1024, 1024),
    "square": (1024, 1024),
    "portrait_4_3": (896, 1152),
    "portrait_16_9": (768, 1280),
    "landscape_4_3": (1152, 896),
    "landscape_16_9": (1280, 768),
}
DEFAULT_PRESET = "square_hd"

_SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


class SizeError(ValueError):
    """The text is no size."""


class SideTooSmall(SizeError):
    """A side is shorter than MIN_SIDE_PX."""


class SideTooLarge(SizeError):
    """A side is longer than MAX_SIDE_PX."""


def parse_size(text: str) -> tuple[int, int] | None:
    """Read a preset, "WIDTHxHEIGHT" in pixels, or "auto", which gives None. Raises SizeError."""
    if text in PRESETS_PX:
        return PRESETS_PX[text]
    if text == AUTO:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise SizeError(f'Must be "WIDTHxHEIGHT", such as "1280x768", or "auto", or one of {", ".join(PRESETS_PX)}')
    width_px, height_px = int(match[1]), int(match[2])
    for name, side_px in (("Width", width_px), ("Height", height_px)):
        if side_px > MAX_SIDE_PX:
            raise SideTooLarge(f"{name} must be less than or equal to {MAX_SIDE_PX}")
        if side_px < MIN_SIDE_PX:
            raise SideTooSmall(f"{name} must be greater than or equal to {MIN_SIDE_PX}")
    return width_px, height_px
