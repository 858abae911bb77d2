"""What a step of the autoencoder's training learns from: codes (true, noisy or drawn anew), their pictures, and crops.

The decoder's last convolution is most of the work, so a step computes it only for a crop of each picture.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from danqing.hunyuan_image3.vae import Vae
from mini.train.autoencoder.redrawing import Redrawing
from mini.train.latents import BLOCK_PX, LinearCode
from mini.train.recipe import PIXELS_PER_TOKEN, PRESET_SHARES
from mini.train.shards import draw_pictures, sample_scenes
from mini.world.scene import Scene

BATCH_SIZE = 4
# Of the codes that are not drawn anew by a finished checkpoint, the largest noise; some lie between the two.
CODE_NOISE = 0.3
TRUE_SHARE, BETWEEN_SHARE = 0.3, 0.15
# Of so many random crops of a picture, the one with the most edges.
NUM_CROP_TRIES = 2
# Crops that would begin up to so many patches outside are moved to the picture's border, which is learned least.
BORDER_PATCHES = 6

Corner = tuple[int, int]  # Top and left.


def edges(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbours, down and across."""
    return pixels[:, :, 1:] - pixels[:, :, :-1], pixels[:, :, :, 1:] - pixels[:, :, :, :-1]


def sample_corners(target: Tensor, rng: random.Random, *, side_px: int, patch_px: int) -> list[Corner]:
    """An upper left corner on each picture, in whole patches, for a square crop."""
    corners = []
    for picture in target:
        tries = []
        for _ in range(NUM_CROP_TRIES):
            top, left = (
                patch_px * _near_border(rng, most=(length - side_px) // patch_px) for length in picture.shape[1:]
            )
            # Every fourth pixel is enough to see where edges are.
            coarse = picture[None, :, top : top + side_px : 4, left : left + side_px : 4]
            tries.append((sum(float(steps.abs().mean()) for steps in edges(coarse)), (top, left)))
        corners.append(max(tries)[1])
    return corners


def _near_border(rng: random.Random, *, most: int) -> int:
    return min(max(rng.randint(-BORDER_PATCHES, most + BORDER_PATCHES), 0), most)


def cropped(pictures: Tensor, corners: Sequence[Corner], *, side: int) -> Tensor:
    """A crop of each picture, [B, C, side, side]."""
    return torch.stack([one[:, y : y + side, x : x + side] for one, (y, x) in zip(pictures, corners, strict=True)])


def draw_crops(vae: Vae, code: Tensor, corners: Sequence[Corner], *, side_px: int) -> Tensor:
    """What the decoder draws at these corners; the last convolution computes nothing else."""
    patch = vae.config.output_patch_size

    def cut(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        # The convolution sees one patch around each crop, or the padding that the picture has there.
        padded = F.pad(inputs[0], (1, 1, 1, 1))
        return cropped(padded, [(top // patch, left // patch) for top, left in corners], side=side_px // patch + 2)

    hook = vae.decoder.conv_out.register_forward_pre_hook(cut)
    drawn = vae.decode_unscaled(code)
    hook.remove()
    return drawn[:, :, patch:-patch, patch:-patch]


def draw_examples(code: LinearCode, scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Codes of scenes, and their pictures."""
    return code.encode(draw_pictures(scenes, BLOCK_PX)), draw_pictures(scenes, PIXELS_PER_TOKEN)


def varied(code: Tensor, redrawn: Tensor | None, rng: random.Random) -> Tensor:
    """Codes as the decoder will get them: the true ones with noise, drawn anew, or between the two."""
    result = []
    for i, true in enumerate(code):
        pick = rng.random()
        if redrawn is None or pick < TRUE_SHARE:
            noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(rng.getrandbits(32)))
            result.append(true + CODE_NOISE * rng.random() * noise)
        else:
            share = rng.random() if pick < TRUE_SHARE + BETWEEN_SHARE else 1.0
            result.append(true.lerp(redrawn[i], share))
    return torch.stack(result)


class Examples(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Batches by number: codes as the decoder gets them, true codes, pictures. The content of a batch depends on its
    number alone."""

    def __init__(self, code: LinearCode, redrawing: Redrawing | None) -> None:
        self._code, self._redrawing = code, redrawing

    def __getitem__(self, batch_index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = random.Random(batch_index)
        grid = rng.choices(list(PRESET_SHARES), list(PRESET_SHARES.values()))[0]
        scenes = sample_scenes(rng, BATCH_SIZE, grid)
        code, pictures = draw_examples(self._code, scenes)
        redrawn = self._redrawing.redraw(scenes, code, rng) if self._redrawing else None
        return varied(code, redrawn, rng), code, pictures
