"""What a drawn picture may suffer: softness, noise, other light. Knows nothing of what is in the picture."""

import io
from random import Random

import numpy as np
from PIL import Image, ImageFilter

TILE_PX = 32  # An image token on the detector's pictures: neighbouring tokens may disagree a little.


def distorted(rng: Random, image: Image.Image) -> Image.Image:
    """The picture softened, compressed, lit and noisy, each by chance."""
    pick = rng.random()
    if pick < 0.3:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.4, 1.6)))
    elif pick < 0.6:
        image = _coarse(rng, image)
    if rng.random() < 0.1:
        image = _compressed(rng, image)
    return _lit(rng, image) if rng.random() < 0.7 else image


def _coarse(rng: Random, image: Image.Image) -> Image.Image:
    """As if drawn smaller and enlarged."""
    factor = rng.uniform(1.5, 3.5)
    small = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BILINEAR)


def _compressed(rng: Random, image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=rng.randint(15, 70))
    return Image.open(file).convert("RGB")


def _lit(rng: Random, image: Image.Image) -> Image.Image:
    """Brightness, contrast and hue a little off; tokens unequal; noise."""
    noise = np.random.default_rng(rng.getrandbits(32))
    mixing = np.zeros((3, 4))
    mixing[:, :3] = np.eye(3) * rng.uniform(0.8, 1.15) + noise.normal(0, 0.035, (3, 3))
    mixing[:, 3] = 128 * (1 - mixing[:, :3].sum(1)) + rng.uniform(-18, 18)
    image = image.convert("RGB", tuple(mixing.flatten().tolist()))
    if rng.random() < 0.5:
        rows, columns = -(-image.height // TILE_PX), -(-image.width // TILE_PX)
        tiles = noise.normal(0, rng.uniform(2, 9), (rows, columns, 3)).astype(np.int16)
        shifts = tiles.repeat(TILE_PX, 0).repeat(TILE_PX, 1)[: image.height, : image.width]
        reach = rng.randint(1, 20)
        shifts = shifts + noise.integers(-reach, reach + 1, shifts.shape, np.int16)
        image = Image.fromarray(np.clip(np.asarray(image) + shifts, 0, 255).astype(np.uint8))
    return image
