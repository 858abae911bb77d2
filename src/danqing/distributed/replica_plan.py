"""The plan of a deployment: how many replicas, what each of them loads and needs. It needs no Ray to be read."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from danqing.engine.worker_options import WorkerOptions
from danqing.errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class ReplicaPlan:
    """What to deploy.

    `min_replicas` below `max_replicas` turns autoscaling on. `jobs_per_replica` run interleaved, the others wait.
    A replica needs `gpus_per_replica` GPUs of one machine; `threads_per_replica` is also the number of CPUs that Ray
    sets aside for it. It has `drain_seconds` to finish its images when it stops.
    """

    options: WorkerOptions
    min_replicas: int = 1
    max_replicas: int = 1
    gpus_per_replica: int = 0
    threads_per_replica: int = 1
    jobs_per_replica: int = 4
    drain_seconds: float = 600.0

    def __post_init__(self) -> None:
        """Raise InvalidRequest for numbers that make no sense."""
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise InvalidRequest(
                f"replicas: the least is {self.min_replicas} and the most {self.max_replicas};"
                " they must be 1 or more, in this order"
            )
        for name, least in (("gpus_per_replica", 0), ("threads_per_replica", 1), ("jobs_per_replica", 1)):
            if getattr(self, name) < least:
                raise InvalidRequest(f"{name}: must be {least} or more")


def read_plan(arguments: dict[str, Any]) -> ReplicaPlan:
    """Return the plan of a configuration file: fields of the plan and of its options. Raises InvalidRequest."""
    of_options = {field.name for field in fields(WorkerOptions)}
    known = of_options | {field.name for field in fields(ReplicaPlan)} - {"options"}
    if unknown := sorted(set(arguments) - known):
        raise InvalidRequest(f"args: unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if "model" not in arguments:
        raise InvalidRequest("args: model is missing; give the folder of a checkpoint, which every node can read")
    options = {"device": "cpu"} | {name: value for name, value in arguments.items() if name in of_options}
    others = {name: value for name, value in arguments.items() if name not in of_options}
    paths = {name: Path(options[name]) for name in ("model", "kernel_folder") if name in options}
    return ReplicaPlan(options=WorkerOptions(**options | paths), **others)
