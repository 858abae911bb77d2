"""The optimiser (Muon for the layers' matrices, AdamW for the rest) and the team of processes that share its work.

Float32 masters stand behind the network's bfloat16 weights. Matrices of one shape are stacked, so that all layers take
their step in the same few products.

Muon (Jordan et al., 2024): momentum, then the nearest orthogonal matrix by Newton-Schulz iterations, so that every
direction of a matrix learns at the same pace.

On a CPU, one process per core is faster than one process with as many threads: only the exchange of gradients waits.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from danqing.hunyuan_image3.precision import fastest_precision

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NUM_ITERATIONS = 5
MOMENTUM = 0.95


@dataclass(frozen=True)
class Team:
    """The rank of this process and the size of its team; a team of one exchanges nothing."""

    rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls) -> "Team":
        """The team that `torch.distributed.run` started, or this process alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        torch.set_num_threads(1)
        return cls(rank=torch.distributed.get_rank(), size=size)

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the team."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten().float() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def orthogonalise(matrix: Tensor) -> Tensor:
    """About U V^T of a matrix's singular value decomposition; stacks of matrices at once."""
    a, b, c = NEWTON_SCHULZ
    # bfloat16 is precise enough, but a CPU that has no such products emulates them at a tenth of the speed.
    x = matrix.to(fastest_precision(matrix.device).dtype)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon trains this parameter."""
    return name.startswith("model.layers.") and parameter.ndim >= 2 and ".gate." not in name


class Optimiser:
    """Owns the float32 masters, the momenta and the moving average of the masters."""

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        *,
        muon_rate: float,
        adam_rate: float,
        adam_betas: tuple[float, float],
        ema_decay: float,
        team: Team,
    ) -> None:
        self._team = team
        self._parameters = {name: p for name, p in parameters.items() if p.requires_grad}
        self._masters = {name: p.detach().float().clone() for name, p in self._parameters.items()}
        self._average = {name: master.clone() for name, master in self._masters.items()}
        # By shape: the names of the matrices, and their momenta, stacked.
        self._groups: dict[torch.Size, list[str]] = defaultdict(list)
        for name, master in self._masters.items():
            if is_matrix(name, master):
                self._groups[master.shape].append(name)
        self._momenta = {
            shape: torch.zeros(len(names), *shape, device=self._masters[names[0]].device)
            for shape, names in self._groups.items()
        }
        matrices = {name for names in self._groups.values() for name in names}
        self._rest = [name for name in self._masters if name not in matrices]
        rest = [self._masters[name] for name in self._rest]
        self._adam = torch.optim.AdamW(rest, lr=adam_rate, betas=adam_betas, weight_decay=0.0, foreach=True)
        self._muon_rate, self._adam_rate, self._ema_decay = muon_rate, adam_rate, ema_decay

    @torch.no_grad()
    def step(self, *, rate_share: float, step_index: int) -> None:
        """Move by the gradients, at `rate_share` of the full rates, and clear them."""
        # Zeros for parameters that this step did not use.
        gradients = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in self._parameters.items()}
        self._team.add_up(list(gradients.values()))
        gradients = {name: gradient.float() / self._team.size for name, gradient in gradients.items()}
        self._step_matrices(gradients, rate_share=rate_share)
        for name in self._rest:
            self._masters[name].grad = gradients[name]
        self._adam.param_groups[0]["lr"] = self._adam_rate * rate_share
        self._adam.step()
        # Short memory at first, so that the average does not remember the random start.
        decay = min(self._ema_decay, (1 + step_index) / (10 + step_index))
        masters = list(self._masters.values())
        torch._foreach_lerp_(list(self._average.values()), masters, 1 - decay)
        torch._foreach_copy_(list(self._parameters.values()), masters)
        for parameter in self._parameters.values():
            parameter.grad = None

    def _step_matrices(self, gradients: Mapping[str, Tensor], *, rate_share: float) -> None:
        updates = {}
        for shape, names in self._groups.items():
            gradient, momentum = torch.stack([gradients[name] for name in names]), self._momenta[shape]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            # Each process orthogonalises its share of the matrices; the other processes have zeros there.
            mine = slice(self._team.rank, None, self._team.size)
            updates[shape] = torch.zeros_like(momentum)
            updates[shape][mine] = orthogonalise(gradient.lerp(momentum, MOMENTUM)[mine])
        self._team.add_up(list(updates.values()))
        for shape, names in self._groups.items():
            scale = max(1.0, shape[-2] / shape[-1]) ** 0.5
            masters = [self._masters[name] for name in names]
            torch._foreach_add_(masters, updates[shape].unbind(), alpha=-self._muon_rate * rate_share * scale)

    @torch.no_grad()
    def adopt_weights(self) -> None:
        """Begin from the network's weights as they are now."""
        for name, parameter in self._parameters.items():
            self._masters[name].copy_(parameter)
            self._average[name].copy_(parameter)

    def averaged(self) -> Mapping[str, Tensor]:
        """The moving average of every parameter, float32."""
        return self._average

    def state(self) -> dict[str, Any]:
        """Everything `restore` needs."""
        return {
            "masters": self._masters,
            "average": self._average,
            "momenta": list(self._momenta.values()),
            "adam": self._adam.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        for own, stored in ((self._masters, state["masters"]), (self._average, state["average"])):
            for name, value in stored.items():
                own[name].copy_(value)
        for momentum, value in zip(self._momenta.values(), state["momenta"], strict=True):
            momentum.copy_(value)
        self._adam.load_state_dict(state["adam"])
        torch._foreach_copy_(list(self._parameters.values()), list(self._masters.values()))
