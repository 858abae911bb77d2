"""The two ends of the image path and the time embedders: latent to tokens, tokens to predicted velocity.

Letters: B branches, C latent channels, D hidden size, h x w token grid, p patch size.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.linear import PointwiseConv2d

SINUSOID_SIZE = 256
MAX_PERIOD = 10000.0
NUM_GROUPS = 32


def sinusoid(t: Tensor) -> Tensor:
    """Cosines, then sines, of `t` at 128 frequencies; float32 [B, 256]."""
    half = SINUSOID_SIZE // 2
    frequencies = torch.exp(-math.log(MAX_PERIOD) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedder(nn.Module):
    """t = 1000 sigma, [B] -> [B, D]."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(SINUSOID_SIZE, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, t: Tensor) -> Tensor:
        first = self.mlp[0]
        assert isinstance(first, nn.Linear)
        return self.mlp(sinusoid(t).to(first.weight.dtype))


class ResidualBlock(nn.Module):
    """A convolutional block conditioned on time; `resample` doubles or halves the grid inside it."""

    def __init__(self, in_channels: int, out_channels: int, *, time_size: int, resample: nn.Module) -> None:
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(
            nn.GroupNorm(NUM_GROUPS, in_channels), nn.SiLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_size, 2 * out_channels))
        # The third entry keeps the published numbering, where a dropout stood.
        self.out_layers = nn.Sequential(
            nn.GroupNorm(NUM_GROUPS, out_channels),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        same = in_channels == out_channels
        self.skip_connection = nn.Identity() if same else PointwiseConv2d(in_channels, out_channels)

    def forward(self, x: Tensor, time_BD: Tensor) -> Tensor:
        norm, activation, conv = self.in_layers
        h = conv(self.resample(activation(norm(x))))
        scale, shift = self.emb_layers(time_BD)[:, :, None, None].chunk(2, dim=1)
        norm, *rest = self.out_layers
        h = norm(h) * (1 + scale) + shift
        for layer in rest:
            h = layer(h)
        return self.skip_connection(self.resample(x)) + h


class Halve(nn.Module):
    """Average over 2 x 2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)


class Double(nn.Module):
    """Nearest neighbour."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


class PatchEmbed(nn.Module):
    """Latent [B, C, h*p, w*p] -> tokens [B, h*w, D], row by row."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden, size = config.patch_embed_hidden_size, config.hidden_size
        num_halvings = config.patch_size // 2
        channels = [hidden] * max(num_halvings, 1) + [size]
        resample = Halve() if num_halvings else nn.Identity()
        self.model = nn.ModuleList([nn.Conv2d(config.vae.latent_channels, hidden, 3, padding=1)])
        for c_in, c_out in itertools.pairwise(channels):
            self.model.append(ResidualBlock(c_in, c_out, time_size=size, resample=resample))

    def forward(self, latent_BCHW: Tensor, time_BD: Tensor) -> Tensor:
        conv, *blocks = self.model
        x = conv(latent_BCHW)
        for block in blocks:
            x = block(x, time_BD)
        return x.flatten(2).transpose(1, 2)


class FinalLayer(nn.Module):
    """Tokens [B, h*w, D] -> velocity [B, C, h*p, w*p]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden, size = config.patch_embed_hidden_size, config.hidden_size
        num_doublings = config.patch_size // 2
        channels = [size] + [hidden] * max(num_doublings, 1)
        resample = Double() if num_doublings else nn.Identity()
        self.model = nn.ModuleList(
            ResidualBlock(c_in, c_out, time_size=size, resample=resample)
            for c_in, c_out in itertools.pairwise(channels)
        )
        self.model.append(
            nn.Sequential(
                nn.GroupNorm(NUM_GROUPS, hidden), nn.SiLU(), nn.Conv2d(hidden, config.vae.latent_channels, 3, padding=1)
            )
        )

    def forward(self, tokens_BND: Tensor, time_BD: Tensor, *, height: int, width: int) -> Tensor:
        """`height` and `width` are those of the token grid."""
        *blocks, head = self.model
        x = tokens_BND.transpose(1, 2).unflatten(2, (height, width))
        for block in blocks:
            x = block(x, time_BD)
        return head(x)
