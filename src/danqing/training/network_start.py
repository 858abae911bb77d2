"""Opens a straight way through both ends of the network, so that it need not learn to copy its input.

The velocity is noise minus picture, and both are in the input: a network must first of all carry its input through
unharmed. The ends make that hard. GroupNorm removes every group's mean and spread over the picture, and SiLU bends. So
each signal s stands there as a pair (s, -s), beside a pair of constants (K, -K) in the same group: the mean is then
zero, the spread is known, and silu(a) - silu(-a) = a is straight.

Letters: C latent channels, two to a group.
"""

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.patch_embed import NUM_GROUPS

GROUP_SIZE = 6  # two pairs of signals, one of constants
CONSTANT = 5.0  # in spreads of the stronger signal
START_GAIN = 0.5


def can_open(model: HunyuanImage3) -> bool:
    """Whether the sizes fit: two latent channels for each group, and room for their pairs and the constants."""
    config = model.config
    return (
        config.patch_size == 1
        and config.vae.latent_channels == 2 * NUM_GROUPS
        and config.patch_embed_hidden_size == GROUP_SIZE * NUM_GROUPS
    )


@torch.no_grad()
def open_straight_way(model: HunyuanImage3, spread_C: Tensor) -> None:
    """Set both ends so that the network predicts START_GAIN times its input, whatever the layers between write.

    `spread_C` is each latent channel's standard deviation.
    """
    strongest_G = spread_C.clamp_min(1.0).view(NUM_GROUPS, 2).amax(1)
    constant_G = CONSTANT * strongest_G
    into, block = model.patch_embed.model
    _set_pairs(into, constant_G)
    _clear(block.out_layers[3])
    # The first C numbers of a token are its latent.
    _clear(block.skip_connection)
    for c in range(len(spread_C)):
        block.skip_connection.weight[c, _plus(c)] = 0.5
        block.skip_connection.weight[c, _plus(c) + 1] = -0.5
    block, head = model.final_layer.model
    _clear(block.out_layers[3])
    _set_pairs(block.skip_connection, constant_G)
    conv = head[2]
    _clear(conv)
    for c, spread in enumerate(spread_C.tolist()):
        constant = float(constant_G[c // 2])
        gain = START_GAIN * ((constant**2 + 2 * max(1.0, spread) ** 2) / 3) ** 0.5
        conv.weight[c, _plus(c), 1, 1] = gain
        conv.weight[c, _plus(c) + 1, 1, 1] = -gain


def _plus(c: int) -> int:
    """Where the positive of a latent channel's pair stands; the negative follows."""
    return GROUP_SIZE * (c // 2) + 2 * (c % 2)


def _clear(conv: nn.Module) -> None:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    conv.weight.zero_()
    conv.bias.zero_()


def _set_pairs(conv: nn.Module, constant_G: Tensor) -> None:
    """Make the convolution write its first input channels as pairs, and the constants by its bias."""
    _clear(conv)
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    middle = conv.kernel_size[0] // 2
    for c in range(2 * NUM_GROUPS):
        conv.weight[_plus(c), c, middle, middle] = 1
        conv.weight[_plus(c) + 1, c, middle, middle] = -1
    conv.bias.view(NUM_GROUPS, GROUP_SIZE)[:, 4] = constant_G
    conv.bias.view(NUM_GROUPS, GROUP_SIZE)[:, 5] = -constant_G
