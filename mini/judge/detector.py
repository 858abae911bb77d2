"""The detector: a small fully convolutional network that finds things, their positions and their colours.

Shape letters: B pictures, H x W pixels, h x w cells of 16 pixels, N nouns, K colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL_PX = 16
PATCH_PX = 4
WIDTHS = (48, 96, 192)
# Steps between the taps of the last level's convolutions: together they see across the largest thing.
DILATIONS = (1, 2, 1, 2)
MIDDLE_BIAS = -4.0
THRESHOLD = 0.3
# Two things of a noun are always further apart than this.
MIN_DISTANCE_CELLS = 2


@dataclass(frozen=True)
class Detection:
    """One detected thing: its middle as fractions of the picture's width and height."""

    noun: str
    colour: str
    x: float
    y: float
    score: float


class Maps(NamedTuple):
    """The network's output for every cell, as logits: a thing's middle or not, which noun, which colour."""

    middle_Bhw: Tensor
    noun_BNhw: Tensor
    colour_BKhw: Tensor


class Convolution(nn.Module):
    """3 x 3 taps, then batch normalisation. The kernel is kept as the matrix that the optimiser works on."""

    def __init__(self, width_in: int, width_out: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(width_out, width_in * 9) * (2 / (width_in * 9)) ** 0.5)
        self.norm = nn.BatchNorm2d(width_out)
        self._stride, self._dilation = stride, dilation

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.unflatten(1, (-1, 3, 3))
        return self.norm(F.conv2d(x, kernel, stride=self._stride, padding=self._dilation, dilation=self._dilation))


class Residual(nn.Module):
    """Two convolutions around which the signal also passes unchanged."""

    def __init__(self, width: int, *dilations: int) -> None:
        super().__init__()
        self.first, self.second = (Convolution(width, width, dilation=dilation) for dilation in dilations)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Detector(nn.Module):
    """Pictures of any size to maps of 16-pixel cells."""

    def __init__(self, nouns: Sequence[str], colours: Sequence[str]) -> None:
        super().__init__()
        self.nouns, self.colours = tuple(nouns), tuple(colours)
        fine, middle, coarse = WIDTHS
        self.body = nn.Sequential(
            nn.PixelUnshuffle(PATCH_PX),
            Convolution(3 * PATCH_PX**2, fine),
            nn.ReLU(),
            Convolution(fine, middle, stride=2),
            nn.ReLU(),
            Residual(middle, 1, 1),
            Convolution(middle, coarse, stride=2),
            nn.ReLU(),
            *(Residual(coarse, *DILATIONS[k : k + 2]) for k in range(0, len(DILATIONS), 2)),
        )
        self.head = nn.Conv2d(coarse, 1 + len(nouns) + len(colours), 1)
        # At first no cell is a middle, as nearly all are not.
        bias = torch.zeros(1 + len(nouns) + len(colours))
        bias[0] = MIDDLE_BIAS
        self.head.bias = nn.Parameter(bias)
        nn.init.zeros_(self.head.weight)

    def forward(self, pixels_B3HW: Tensor) -> Maps:
        """Pixels from -1 to 1."""
        maps = self.head(self.body(pixels_B3HW.to(memory_format=torch.channels_last))).float()
        middle, noun, colour = maps.split([1, len(self.nouns), len(self.colours)], dim=1)
        return Maps(middle.squeeze(1), noun, colour)

    @torch.inference_mode()
    def detect(self, pixels_3HW: Tensor) -> list[Detection]:
        """The things in one picture, most certain first."""
        return decode(self(pixels_3HW[None]), self.nouns, self.colours)


def decode(maps: Maps, nouns: Sequence[str], colours: Sequence[str]) -> list[Detection]:
    """The peaks of each noun's map in one picture, most certain first."""
    score_Nhw = (torch.sigmoid(maps.middle_Bhw) * torch.softmax(maps.noun_BNhw[0], 0)).detach()
    cells = (score_Nhw > THRESHOLD).nonzero().tolist()
    cells.sort(key=lambda cell: -float(score_Nhw[tuple(cell)]))
    peaks: list[tuple[int, int, int]] = []
    for n, row, column in cells:
        near = (max(abs(row - r), abs(column - c)) <= MIN_DISTANCE_CELLS for m, r, c in peaks if m == n)
        if not any(near):
            peaks.append((n, row, column))
    rows, columns = score_Nhw.shape[1:]
    return [
        Detection(
            noun=nouns[n],
            colour=colours[int(maps.colour_BKhw[0, :, row, column].argmax())],
            x=(column + 0.5) / columns,
            y=(row + 0.5) / rows,
            score=float(score_Nhw[n, row, column]),
        )
        for n, row, column in peaks
    ]
