"""Flaws that verdicts do not count: fringes of foreign colour, wrong things, and visible borders of image tokens.

Each is measured against the world's own picture of the same scene, which a detailed caption describes in full.
Distances are CIE Lab: about 2 is just visible, 20 is another colour. Pictures are reduced to 64 pixels a token first,
the size that earlier checkpoints drew, so that their figures compare.
"""

from dataclasses import dataclass
from itertools import product
from random import Random

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mini.judge.drawing import GRID, Pixels, draw_scene
from mini.train.recipe import PIXELS_PER_TOKEN
from mini.world.layout import sample_scene
from mini.world.scene import Scene, Style

TOKEN_PX = 64
# Colours are compared at half of that.
HALVING = 2
# An edge: light and dark this far apart (of 100) within this many pixels on each side.
EDGE_CONTRAST, EDGE_REACH_PX = 8.0, 3
# A colour is foreign if the world's picture has nothing like it within this many pixels.
SHIFT_PX = 4

_TO_XYZ = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = torch.tensor([0.9505, 1.0, 1.089])


@dataclass(frozen=True, kw_only=True)
class Flaws:
    """Of one picture. `fringe` and `thing`: the mean distance to the nearest of the world's colours around each pixel,
    outside of edges in the whole picture, and within the boxes of things. `border`: the mean difference between
    neighbouring pixels of two tokens over that of neighbours within one, both outside of edges; 1 is invisible."""

    fringe: float
    thing: float
    border: float


def flaw_scenes(count: int) -> list[Scene]:
    """Held-out scenes in the flat style, the same every time."""
    scenes: list[Scene] = []
    index = 0
    while len(scenes) < count:
        scene = sample_scene(Random(f"danqing flaws {index}"), GRID, split="held_out")
        index += 1
        if scene.style is Style.FLAT:
            scenes.append(scene)
    return scenes


def flaws(picture: Pixels, scene: Scene) -> Flaws:
    """Compare a picture of the scene's detailed caption with the scene itself."""
    drawn, true = lab(reduced(picture)), lab(reduced(draw_scene(scene)))
    distance = foreignness(_halved(drawn), _halved(true))
    things = torch.zeros_like(distance, dtype=torch.bool)
    cell_px = TOKEN_PX // HALVING
    for item in scene.objects:
        top, left, bottom = (max(0, side) * cell_px for side in (item.box.top, item.box.left, item.box.bottom))
        things[top:bottom, left : (item.box.left + item.box.num_cells) * cell_px] = True
    return Flaws(
        fringe=float(distance[~edges(_halved(true))].mean()),
        thing=float(distance[things].mean()),
        border=border_ratio(drawn, ~edges(true), token_px=TOKEN_PX),
    )


def reduced(picture: Pixels) -> Pixels:
    """The same picture at TOKEN_PX pixels a token."""
    return np.asarray(Image.fromarray(picture).reduce(PIXELS_PER_TOKEN // TOKEN_PX))


def lab(picture: Pixels) -> Tensor:
    """sRGB levels [H, W, 3] as CIE Lab, float32 [3, H, W]."""
    levels = torch.tensor(picture).float() / 255
    linear = torch.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp_min(1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def edges(lab_3HW: Tensor) -> Tensor:
    """Where light and dark meet, bool [H, W]."""
    light, side = lab_3HW[:1], 2 * EDGE_REACH_PX + 1
    lightest, darkest = (F.max_pool2d(sign * light, side, stride=1, padding=EDGE_REACH_PX) for sign in (1, -1))
    return (lightest + darkest)[0] > EDGE_CONTRAST


def foreignness(drawn_3HW: Tensor, true_3HW: Tensor) -> Tensor:
    """The distance of every pixel to the nearest colour of the other picture within SHIFT_PX, [H, W]."""
    height, width = drawn_3HW.shape[1:]
    around = F.pad(true_3HW[None], (SHIFT_PX,) * 4, mode="replicate")[0]
    nearest = torch.full((height, width), float("inf"))
    for y, x in product(range(2 * SHIFT_PX + 1), repeat=2):
        shifted = around[:, y : y + height, x : x + width]
        nearest = torch.minimum(nearest, (drawn_3HW - shifted).square().sum(0))
    return nearest.sqrt()


def border_ratio(lab_3HW: Tensor, smooth_HW: Tensor, *, token_px: int) -> float:
    """The mean step across token borders over that inside of tokens, where both pixels are smooth."""
    across: list[Tensor] = []
    inside: list[Tensor] = []
    for picture, smooth in ((lab_3HW, smooth_HW), (lab_3HW.mT, smooth_HW.T)):
        step = (picture[:, :, 1:] - picture[:, :, :-1]).norm(dim=0)
        both = smooth[:, 1:] & smooth[:, :-1]
        is_border = (torch.arange(1, picture.shape[2]) % token_px == 0).expand_as(step)
        across.append(step[both & is_border])
        inside.append(step[both & ~is_border])
    return float(torch.cat(across).mean() / torch.cat(inside).mean())


def _halved(lab_3HW: Tensor) -> Tensor:
    return F.avg_pool2d(lab_3HW, HALVING)
