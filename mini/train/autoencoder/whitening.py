"""Convolutions trained in coordinates in which their inputs are white: uncorrelated, of unit spread.

The inputs of a decoder's last layers are far from white: all positive, half of them constants. Adam's steps then add up
to jumps of brightness, unless rates are tiny. In white coordinates no direction of the inputs is stronger than another.

Letters: D inputs at a point (channels * 3 * 3).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

# Of the mean variance; directions that hardly occur would move far.
MIN_VARIANCE = 1e-3
_ORIGINAL, _ROOT = ".parametrizations.weight.original", ".parametrizations.weight.0.root_DD"


class Whitened(nn.Module):
    """A weight as the product of what is trained and a fixed matrix."""

    root_DD: Tensor

    def __init__(self, root_DD: Tensor) -> None:
        super().__init__()
        self.register_buffer("root_DD", root_DD)

    def forward(self, white: Tensor) -> Tensor:
        return (white.flatten(1) @ self.root_DD).view(white.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What gives this weight."""
        return (
            torch.linalg.solve(self.root_DD.double(), weight.flatten(1).double(), left=False).to(weight).view_as(weight)
        )


def whiten(layer: nn.Conv2d, spread_DD: Tensor | None = None) -> None:
    """Train a convolution in white coordinates from now on, with inputs of this mean product; without one,
    `load_state_dict` sets the coordinates."""
    num_inputs = layer.weight[0].numel()
    root_DD = torch.eye(num_inputs) if spread_DD is None else inverse_root(spread_DD)
    register_parametrization(layer, "weight", Whitened(root_DD))


def inverse_root(spread_DD: Tensor) -> Tensor:
    """The symmetric matrix that whitens inputs of this mean product."""
    variance, directions = torch.linalg.eigh(spread_DD.double())
    variance = variance.clamp_min(MIN_VARIANCE * float(variance.mean()))
    return ((directions * variance.rsqrt()) @ directions.T).float()


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with plain weights instead of white ones."""
    weights = {}
    for name, value in state.items():
        if name.endswith(_ORIGINAL):
            layer = name.removesuffix(_ORIGINAL)
            weights[f"{layer}.weight"] = (value.flatten(1) @ state[layer + _ROOT]).view(value.shape)
        elif not name.endswith(_ROOT):
            weights[name] = value
    return weights
