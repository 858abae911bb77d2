"""The sampler: noise schedule and Euler steps of rectified flow, as plain functions of a `predict` callable.

Letters: B branches, C latent channels.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditions:
    """What a step tells the network: the time t = 1000 sigma, that of the next step, and the guidance scale.

    Checkpoints that are not distilled read t alone.
    """

    t: Tensor
    next_t: Tensor
    guidance_scale: float


@dataclass(frozen=True)
class DenoiseStep:
    """After `step` of `num_steps` (from 1): the running latent and the picture it is heading for, [1, C, H, W]."""

    step: int
    num_steps: int
    latent: Tensor
    clean_latent: Tensor


def schedule(num_steps: int, *, shift: float) -> Tensor:
    """Noise levels from 1 to 0, float32 [num_steps + 1]; a shift above 1 spends more steps on high noise."""
    sigma = torch.linspace(1, 0, num_steps + 1)
    return shift * sigma / (1 + (shift - 1) * sigma)


def start_noise(seed: int, *, channels: int, height: int, width: int) -> Tensor:
    """Unit noise, float32 [1, C, H, W]. Drawn on the CPU, so that a seed means the same picture on every device,
    and in bfloat16, so that it is the reference's noise for that seed."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn((1, channels, height, width), generator=generator, dtype=torch.bfloat16).float()


def guide(velocity_BCHW: Tensor, *, guidance_scale: float, max_push: float | None = None) -> Tensor:
    """Combine the conditional and unconditional branches; a single branch is returned as it is.

    The push of guidance is what it adds to the conditional velocity. Where its norm over channels exceeds `max_push`
    times that of the conditional velocity, the push is shortened to that length. None: no bound.
    """
    if len(velocity_BCHW) == 1:
        return velocity_BCHW
    conditional, unconditional = velocity_BCHW.split(1)
    if max_push is None:
        return unconditional + guidance_scale * (conditional - unconditional)
    push = (guidance_scale - 1) * (conditional - unconditional)
    longest, length = max_push * conditional.norm(dim=1, keepdim=True), push.norm(dim=1, keepdim=True)
    # A push of no length stays so: 0 / 0 must not reach the picture.
    return conditional + push * (longest / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp_max(1)


def denoise(
    predict: Callable[[Tensor, Conditions], Tensor],
    noise: Tensor,
    *,
    sigmas: Tensor,
    guidance_scale: float,
    max_push: float | None = None,
) -> Iterator[DenoiseStep]:
    """Walk from noise to picture. `predict(latent, conditions)` returns each branch's velocity."""
    latent, num_steps = noise, len(sigmas) - 1
    for i, (sigma, following) in enumerate(itertools.pairwise(sigmas)):
        conditions = Conditions(1000 * sigma, 1000 * following, guidance_scale)
        velocity = guide(predict(latent, conditions), guidance_scale=guidance_scale, max_push=max_push)
        clean = latent - sigma * velocity
        latent = latent + velocity * (following - sigma)
        yield DenoiseStep(i + 1, num_steps, latent, clean)
