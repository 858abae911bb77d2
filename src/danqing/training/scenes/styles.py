"""How a whole picture is drawn. Knows nothing of what is in it.

Every style is a linear map of small neighbourhoods of pixels: what a network must learn of it is then the same for
every thing and place.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from danqing.training.scenes.scene import Style

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
PAPER = np.array([250, 247, 240], np.float32)
NIGHT = np.array([26, 10, 58], np.float32)
PIXELS_PER_CELL = 8


def in_style(image: Image.Image, style: Style, cell_px: int) -> Image.Image:
    """The same picture in this style."""
    if style is Style.FLAT:
        return image
    if style is Style.PIXEL:
        small = image.reduce(max(1, cell_px // PIXELS_PER_CELL))
        return small.resize(image.size, Image.Resampling.NEAREST)
    pixels = np.asarray(image, np.float32)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(cell_px / 24)), np.float32)
    drawn = {Style.PENCIL: _pencil, Style.WATERCOLOUR: _watercolour, Style.NEON: _neon}[style](pixels, soft)
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))


def _pencil(pixels: NDArray[np.float32], soft: NDArray[np.float32]) -> NDArray[np.floating]:
    """Grey on paper, edges dark."""
    grey = pixels @ LUMA
    edges = grey - soft @ LUMA
    return PAPER * (0.42 + 0.58 * (grey / 255))[..., None] + 1.8 * edges[..., None]


def _watercolour(pixels: NDArray[np.float32], soft: NDArray[np.float32]) -> NDArray[np.floating]:
    """Pale and soft, with a rim where colours meet."""
    return 0.45 * PAPER + 0.6 * soft + 0.5 * (soft - pixels)


def _neon(pixels: NDArray[np.float32], soft: NDArray[np.float32]) -> NDArray[np.floating]:
    """Night colours, edges alight."""
    return NIGHT + 0.30 * pixels[..., [2, 0, 1]] + 4.0 * (pixels - soft)
