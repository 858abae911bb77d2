"""The linear code: fixed latents of pictures, so that the transformer can train before any autoencoder exists.

The code consists of the principal components of 32 x 32 blocks of pictures at a quarter of the size, partly whitened.
The checkpoint's convolutional encoder and decoder later learn to read and write this code.

Letters: B pictures, C channels, h x w blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

BLOCK_PX = 32
# The code that the shipped checkpoint was trained on.
SHIPPED_CODE = Path(__file__).with_name("shipped_code.safetensors")
# 0 keeps the components' own spread, 1 makes all equal; half way, fine detail counts without drowning the rest.
WHITENING = 0.5


def to_pixels(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 [B, H, W, 3] to float32 [B, 3, H, W] in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def blocks(pixels: Tensor) -> Tensor:
    """[B, 3, H, W] to one row per block, [B * h * w, 3 * 32 * 32]."""
    parts = pixels.unflatten(2, (-1, BLOCK_PX)).unflatten(4, (-1, BLOCK_PX))
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, 3 * BLOCK_PX**2)


@dataclass(frozen=True)
class LinearCode:
    """`encode_KC` includes whitening and unit scale; `decode_CK` is its pseudo-inverse; `mean_K` is the mean block."""

    mean_K: Tensor
    encode_KC: Tensor
    decode_CK: Tensor

    @classmethod
    def fit(cls, pictures: Sequence[Tensor], *, num_channels: int) -> "LinearCode":
        """Fit to pictures at a quarter of the size, [B, 3, H, W] of each size."""
        rows = torch.cat([blocks(pixels) for pixels in pictures])
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        variance, basis = torch.linalg.eigh(covariance.double())
        variance, basis = variance.flip(0)[:num_channels].float(), basis.flip(1)[:, :num_channels].float()
        scale = variance.clamp_min(1e-8).pow(-WHITENING / 2)
        scale = scale / (variance * scale.square()).mean().sqrt()
        return cls(mean, (basis * scale).contiguous(), (basis / scale).T.contiguous())

    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures at a quarter of the size, [B, 3, H, W] to [B, C, h, w]."""
        height, width = pixels.shape[2] // BLOCK_PX, pixels.shape[3] // BLOCK_PX
        code = (blocks(pixels) - self.mean_K) @ self.encode_KC
        return code.view(len(pixels), height, width, -1).permute(0, 3, 1, 2).contiguous()

    def decode(self, code: Tensor) -> Tensor:
        """[B, C, h, w] back to pictures at a quarter of the size, as well as the code can."""
        B, _, h, w = code.shape
        rows = code.permute(0, 2, 3, 1).flatten(0, 2) @ self.decode_CK + self.mean_K
        return F.fold(rows.view(B, h * w, -1).transpose(1, 2), (h * BLOCK_PX, w * BLOCK_PX), BLOCK_PX, stride=BLOCK_PX)

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        save_file({"mean": self.mean_K, "encode": self.encode_KC, "decode": self.decode_CK}, path)

    @classmethod
    def load(cls, path: Path) -> "LinearCode":
        """Read what `save` wrote, in whichever precision."""
        stored = {name: value.float() for name, value in load_file(path).items()}
        return cls(stored["mean"], stored["encode"], stored["decode"])
