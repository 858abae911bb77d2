"""Experts rounded as loading rounds them, and the error that it makes."""

from torch import Tensor

from danqing.hunyuan_image3.moe import MixtureOfExperts
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import Places, round_experts


def relative_error(ours: Tensor, exact: Tensor) -> float:
    """||ours - exact|| / ||exact||."""
    return float((ours.float() - exact.float()).norm() / exact.float().norm())


def hold_experts(mixture: MixtureOfExperts, precision: Precision) -> None:
    """Replace the mixture's float32 experts by the same in this precision; the rest stays."""
    exact = {key: target.clone() for key, target in Places(mixture)}
    round_experts(mixture, precision)
    places = Places(mixture)
    for key, value in exact.items():
        places.fill(key, value)
    places.finish()
