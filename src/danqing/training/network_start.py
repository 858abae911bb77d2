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
    _set_pairs(_conv(model, "patch_embed.model.0"), constant_G)
    _clear(_conv(model, "patch_embed.model.1.out_layers.3"))
    # The first C numbers of a token are its latent.
    tokens = _conv(model, "patch_embed.model.1.skip_connection")
    _clear(tokens)
    for c in range(len(spread_C)):
        tokens.weight[c, _plus(c)] = 0.5
        tokens.weight[c, _plus(c) + 1] = -0.5
    _clear(_conv(model, "final_layer.model.0.out_layers.3"))
    _set_pairs(_conv(model, "final_layer.model.0.skip_connection"), constant_G)
    head = _conv(model, "final_layer.model.1.2")
    _clear(head)
    for c, spread in enumerate(spread_C.tolist()):
        constant = float(constant_G[c // 2])
        gain = START_GAIN * ((constant**2 + 2 * max(1.0, spread) ** 2) / 3) ** 0.5
        head.weight[c, _plus(c), 1, 1] = gain
        head.weight[c, _plus(c) + 1, 1, 1] = -gain


def _conv(model: nn.Module, name: str) -> nn.Conv2d:
    conv = model.get_submodule(name)
    assert isinstance(conv, nn.Conv2d)
    return conv


def _plus(c: int) -> int:
    """Where the positive of a latent channel's pair stands; the negative follows."""
    return GROUP_SIZE * (c // 2) + 2 * (c % 2)


def _clear(conv: nn.Conv2d) -> None:
    assert conv.bias is not None
    conv.weight.zero_()
    conv.bias.zero_()


def _set_pairs(conv: nn.Conv2d, constant_G: Tensor) -> None:
    """Make the convolution write its first input channels as pairs, and the constants by its bias."""
    _clear(conv)
    assert conv.bias is not None
    middle = conv.kernel_size[0] // 2
    for c in range(2 * NUM_GROUPS):
        conv.weight[_plus(c), c, middle, middle] = 1
        conv.weight[_plus(c) + 1, c, middle, middle] = -1
    conv.bias.view(NUM_GROUPS, GROUP_SIZE)[:, 4] = constant_G
    conv.bias.view(NUM_GROUPS, GROUP_SIZE)[:, 5] = -constant_G
