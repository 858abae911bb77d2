"""The network's start: a straight way through both ends, so that it need not learn to copy its input.

The velocity is noise minus picture, and both are in the input: first of all, a network must carry its input through
intact. The ends make that hard. GroupNorm removes every group's mean and spread over the picture, and SiLU bends. So
each signal s appears as a pair (s, -s), beside a pair of constants (K, -K) in the same group: the mean is then zero,
the spread is known, and silu(a) - silu(-a) = a is straight.

Letters: C latent channels in G groups of P.
"""

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.patch_embed import NUM_GROUPS

CONSTANT = 5.0  # in spreads of the stronger signal
START_GAIN = 0.5


def can_open(model: HunyuanImage3) -> bool:
    """Whether the sizes fit: room for the pairs of every group's latent channels, and for its constants."""
    config = model.config
    num_channels = config.vae.latent_channels
    return (
        config.patch_size == 1
        and num_channels % NUM_GROUPS == 0
        and config.patch_embed_hidden_size == 2 * (num_channels + NUM_GROUPS)
        and config.patch_embed_hidden_size != config.hidden_size  # Both ends need their 1x1 convolutions.
    )


@torch.no_grad()
def open_straight_way(model: HunyuanImage3, spread_C: Tensor) -> None:
    """Set both ends so that the network predicts START_GAIN times its input, whatever the layers between them write.

    `spread_C` is each latent channel's standard deviation.
    """
    spread_GP = spread_C.clamp_min(1.0).view(NUM_GROUPS, -1)
    constant_G = CONSTANT * spread_GP.amax(1)
    _set_pairs(_conv(model, "patch_embed.model.0"), constant_G)
    _clear(_conv(model, "patch_embed.model.1.out_layers.3"))
    # The first C numbers of a token are its latent.
    tokens = _conv(model, "patch_embed.model.1.skip_connection")
    _clear(tokens)
    for c, first in enumerate(_pair_indices(len(spread_C))):
        tokens.weight[c, first] = 0.5
        tokens.weight[c, first + 1] = -0.5
    _clear(_conv(model, "final_layer.model.0.out_layers.3"))
    _set_pairs(_conv(model, "final_layer.model.0.skip_connection"), constant_G)
    head = _conv(model, "final_layer.model.1.2")
    _clear(head)
    group_size = spread_GP.shape[1]
    spread_of_groups_G = ((constant_G.square() + spread_GP.square().sum(1)) / (group_size + 1)).sqrt()
    for c, first in enumerate(_pair_indices(len(spread_C))):
        gain = START_GAIN * float(spread_of_groups_G[c // group_size])
        head.weight[c, first, 1, 1] = gain
        head.weight[c, first + 1, 1, 1] = -gain


def _conv(model: nn.Module, name: str) -> nn.Conv2d:
    conv = model.get_submodule(name)
    assert isinstance(conv, nn.Conv2d)
    return conv


def _pair_indices(num_channels: int) -> list[int]:
    """The index of each pair's positive channel; the negative one follows."""
    group_size = num_channels // NUM_GROUPS
    return [2 * (c + c // group_size) for c in range(num_channels)]


def _clear(conv: nn.Conv2d) -> None:
    assert conv.bias is not None
    conv.weight.zero_()
    conv.bias.zero_()


def _set_pairs(conv: nn.Conv2d, constant_G: Tensor) -> None:
    """Make the convolution write its first input channels as pairs, and the constants by its bias."""
    _clear(conv)
    assert conv.bias is not None
    middle = conv.kernel_size[0] // 2
    num_channels = conv.out_channels // 2 - NUM_GROUPS
    for c, first in enumerate(_pair_indices(num_channels)):
        conv.weight[first, c, middle, middle] = 1
        conv.weight[first + 1, c, middle, middle] = -1
    bias_GP = conv.bias.view(NUM_GROUPS, -1)
    bias_GP[:, -2] = constant_G
    bias_GP[:, -1] = -constant_G
