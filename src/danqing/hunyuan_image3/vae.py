"""The autoencoder between pictures and latents (`AutoencoderKLConv3D`). Knows nothing of prompts or time.

Tensors are [B, C, H, W] where the temporal factor is 1 (every 3x3x3 kernel then equals its middle 3x3 slice), and
[B, C, F, H, W] where it is 4: one latent frame then becomes four, all of which GroupNorm sees.
"""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.config import VaeConfig
from danqing.hunyuan_image3.linear import PointwiseConv2d, PointwiseConv3d
from danqing.hunyuan_image3.slabs import HEIGHT, add_convolved, convolve, convolved_slabs

NUM_GROUPS = 32
EPS = 1e-6


def convolution(c_in: int, c_out: int, *, size: int, num_dims: int) -> nn.Module:
    """A same-size convolution over 2 or 3 dimensions."""
    if size == 1:
        return (PointwiseConv3d if num_dims == 3 else PointwiseConv2d)(c_in, c_out)
    kind = nn.Conv3d if num_dims == 3 else nn.Conv2d
    return kind(c_in, c_out, size, padding=size // 2)


def fold(x: Tensor, *, factors: Sequence[int]) -> Tensor:
    """Move blocks of `factors` grid points into channels, block position first: [B, C, ...] -> [B, r*C, .../r]."""
    B, C, *grid = x.shape
    split = [n for size, r in zip(grid, factors, strict=True) for n in (size // r, r)]
    x = x.reshape(B, C, *split)
    blocks = [3 + 2 * i for i in range(len(grid))]
    rest = [2 + 2 * i for i in range(len(grid))]
    x = x.permute(0, *blocks, 1, *rest)
    return x.reshape(B, -1, *[size // r for size, r in zip(grid, factors, strict=True)])


def unfold(x: Tensor, *, factors: Sequence[int]) -> Tensor:
    """The inverse of `fold`."""
    B, _, *grid = x.shape
    n = len(grid)
    x = x.reshape(B, *factors, -1, *grid)
    order = [axis for i in range(n) for axis in (2 + n + i, 1 + i)]
    x = x.permute(0, 1 + n, *order)
    return x.reshape(B, -1, *[size * r for size, r in zip(grid, factors, strict=True)])


def block_factors(*, temporal: bool, num_dims: int) -> tuple[int, ...]:
    """The block a level shrinks to one point: 2x2, or 1x2x2, or 2x2x2 with time."""
    return (2, 2) if num_dims == 2 else (2 if temporal else 1, 2, 2)


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; a 1x1 convolution on the way around where channels differ."""

    def __init__(self, c_in: int, c_out: int, *, num_dims: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(NUM_GROUPS, c_in, eps=EPS)
        self.conv1 = convolution(c_in, c_out, size=3, num_dims=num_dims)
        self.norm2 = nn.GroupNorm(NUM_GROUPS, c_out, eps=EPS)
        self.conv2 = convolution(c_out, c_out, size=3, num_dims=num_dims)
        if c_in != c_out:
            self.nin_shortcut = convolution(c_in, c_out, size=1, num_dims=num_dims)

    def forward(self, x: Tensor) -> Tensor:
        h = convolve(self.conv1, x, norm=self.norm1)
        around: Tensor = self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x
        return add_convolved(around, self.conv2, h, norm=self.norm2)


class AttentionBlock(nn.Module):
    """One head over all grid points."""

    def __init__(self, channels: int, *, num_dims: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, channels, eps=EPS)
        self.q = convolution(channels, channels, size=1, num_dims=num_dims)
        self.k = convolution(channels, channels, size=1, num_dims=num_dims)
        self.v = convolution(channels, channels, size=1, num_dims=num_dims)
        self.proj_out = convolution(channels, channels, size=1, num_dims=num_dims)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        query, key, value = (layer(h).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(query, key, value)
        return x + self.proj_out(seen[:, 0].transpose(1, 2).reshape(x.shape))


def match_channels(x: Tensor, num_channels: int) -> Tensor:
    """The parameterless shortcut: repeat every channel, or average neighbours, to get `num_channels`."""
    if x.shape[1] < num_channels:
        return x.repeat_interleave(num_channels // x.shape[1], dim=1)
    return x.unflatten(1, (num_channels, -1)).mean(dim=2)


class Downsample(nn.Module):
    """Convolution folded into channels, plus the mean of the input's folded channels."""

    def __init__(self, c_in: int, c_out: int, *, temporal: bool, num_dims: int) -> None:
        super().__init__()
        self.factors = block_factors(temporal=temporal, num_dims=num_dims)
        self.conv = convolution(c_in, c_out // math.prod(self.factors), size=3, num_dims=num_dims)

    def forward(self, x: Tensor) -> Tensor:
        h = fold(self.conv(x), factors=self.factors)
        around = fold(x, factors=self.factors)
        return h + match_channels(around, h.shape[1])


class Upsample(nn.Module):
    """Convolution unfolded from channels, plus the input's repeated channels unfolded."""

    def __init__(self, c_in: int, c_out: int, *, temporal: bool, num_dims: int) -> None:
        super().__init__()
        self.factors = block_factors(temporal=temporal, num_dims=num_dims)
        self.conv = convolution(c_in, c_out * math.prod(self.factors), size=3, num_dims=num_dims)

    def forward(self, x: Tensor) -> Tensor:
        rows, out = self.factors[-2], None
        for start, stop, h in convolved_slabs(self.conv, x):
            part = unfold(h + match_channels(x[..., start:stop, :], h.shape[1]), factors=self.factors)
            if stop - start == x.shape[HEIGHT]:
                return part
            if out is None:
                out = part.new_empty((*part.shape[:-2], rows * x.shape[HEIGHT], part.shape[-1]))
            out[..., rows * start : rows * stop, :] = part
        assert out is not None
        return out


class Middle(nn.Module):
    """The blocks at the smallest grid."""

    def __init__(self, channels: int, *, num_dims: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels, num_dims=num_dims)
        self.attn_1 = AttentionBlock(channels, num_dims=num_dims)
        self.block_2 = ResidualBlock(channels, channels, num_dims=num_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    """The blocks of one grid size, and the step to the next one (`downsample` or `upsample` in the checkpoint)."""

    def __init__(self, c_in: int, c_out: int, *, num_blocks: int, num_dims: int) -> None:
        super().__init__()
        channels = [c_in] + [c_out] * num_blocks
        self.block = nn.ModuleList(ResidualBlock(a, b, num_dims=num_dims) for a, b in itertools.pairwise(channels))

    def forward(self, x: Tensor) -> Tensor:
        for part in [*self.block, *(m for name, m in self.named_children() if name != "block")]:
            x = part(x)
        return x


class Encoder(nn.Module):
    """Pictures to twice the latent channels: mean, then log-variance."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        channels, num_dims = config.block_channels, _num_dims(config)
        num_steps = _log2(config.spatial_factor // config.output_patch_size)
        first_temporal = num_steps - _log2(config.temporal_factor)
        self.conv_in = convolution(
            config.pixel_channels * config.output_patch_size**2, channels[0], size=3, num_dims=num_dims
        )
        self.down = nn.ModuleList()
        current = channels[0]
        for i, width in enumerate(channels):
            level = Level(current, width, num_blocks=config.num_blocks, num_dims=num_dims)
            current = width if config.num_blocks else current
            if i < num_steps:
                following = channels[i + 1] if config.match_channels_down else current
                level.downsample = Downsample(current, following, temporal=i >= first_temporal, num_dims=num_dims)
                current = following
            self.down.append(level)
        self.mid = Middle(current, num_dims=num_dims)
        self.norm_out = nn.GroupNorm(NUM_GROUPS, current, eps=EPS)
        self.conv_out = convolution(current, 2 * config.latent_channels, size=3, num_dims=num_dims)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        h = self.mid(h)
        out = self.conv_out(F.silu(self.norm_out(h)))
        return out + match_channels(h, out.shape[1])


class Decoder(nn.Module):
    """Latents to pictures, in -1..1 where the picture is in gamut."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        channels, num_dims = config.block_channels[::-1], _num_dims(config)
        num_steps = _log2(config.spatial_factor // config.output_patch_size)
        num_temporal = _log2(config.temporal_factor)
        self.conv_in = convolution(config.latent_channels, channels[0], size=3, num_dims=num_dims)
        self.mid = Middle(channels[0], num_dims=num_dims)
        self.up = nn.ModuleList()
        current = channels[0]
        for i, width in enumerate(channels):
            level = Level(current, width, num_blocks=config.num_blocks + 1, num_dims=num_dims)
            current = width
            if i < num_steps:
                following = channels[i + 1] if config.match_channels_up else current
                level.upsample = Upsample(current, following, temporal=i < num_temporal, num_dims=num_dims)
                current = following
            self.up.append(level)
        self.norm_out = nn.GroupNorm(NUM_GROUPS, current, eps=EPS)
        self.conv_out = convolution(
            current, config.pixel_channels * config.output_patch_size**2, size=3, num_dims=num_dims
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.conv_in(z)
        h = self.mid(h + match_channels(z, h.shape[1]))
        for level in self.up:
            h = level(h)
        return convolve(self.conv_out, h, norm=self.norm_out)


class Vae(nn.Module):
    """Encoder and decoder, with the pixel blocks and frames that surround them."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures in -1..1, [B, 3, H, W], to the posterior mean, unscaled, [B, C, H/f, W/f]."""
        x = fold(pixels, factors=(self.config.output_patch_size,) * 2)
        if _num_dims(self.config) == 3:
            x = x[:, :, None].expand(-1, -1, self.config.temporal_factor, -1, -1)
        mean = self.encoder(x).chunk(2, dim=1)[0]
        return mean[:, :, 0] if mean.ndim == 5 else mean

    def decode(self, latent: Tensor) -> Tensor:
        """Scaled latents, [B, C, H/f, W/f], to pictures, about -1..1, [B, 3, H, W]."""
        return self.decode_unscaled(self.unscale(latent))

    def unscale(self, latent: Tensor) -> Tensor:
        """From the sampler's unit scale to the decoder's."""
        return latent / self.config.scaling_factor + self.config.shift_factor

    def decode_unscaled(self, z: Tensor) -> Tensor:
        """The decoder alone; of several frames the last is the picture."""
        x = self.decoder(z[:, :, None])[:, :, -1] if _num_dims(self.config) == 3 else self.decoder(z)
        return unfold(x, factors=(self.config.output_patch_size,) * 2)


def _num_dims(config: VaeConfig) -> int:
    return 2 if config.temporal_factor == 1 else 3


def _log2(n: int) -> int:
    return n.bit_length() - 1
