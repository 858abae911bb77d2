"""The Ray Serve application: how many replicas there are, what each of them needs, and how long they may take to stop.

Ray's own tools deploy it too: `import_path: danqing.distributed.application:build`, with fields of `ReplicaPlan` and
`WorkerOptions` as `args`.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application

from danqing.distributed.replica import Replica
from danqing.engine.worker_options import WorkerOptions
from danqing.errors import InvalidRequest

APPLICATION = "danqing"
DEPLOYMENT = "engine"
HEALTH_CHECK_PERIOD_SECONDS = 5.0
HEALTH_CHECK_TIMEOUT_SECONDS = 30.0
# Between two looks at whether a replica that stops has anything left to do.
DRAIN_LOOK_SECONDS = 1.0


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


def application(plan: ReplicaPlan) -> Application:
    """Return the application that `serve.run` deploys."""
    options: dict[str, Any] = {}
    if plan.min_replicas == plan.max_replicas:
        options["num_replicas"] = plan.min_replicas
    else:
        options["autoscaling_config"] = {
            "min_replicas": plan.min_replicas,
            "max_replicas": plan.max_replicas,
            # Another replica comes when those there are have half of what they may have at once.
            "target_ongoing_requests": max(1, plan.jobs_per_replica / 2),
        }
    deployment = serve.deployment(
        Replica,
        name=DEPLOYMENT,
        max_ongoing_requests=plan.jobs_per_replica,
        health_check_period_s=HEALTH_CHECK_PERIOD_SECONDS,
        health_check_timeout_s=HEALTH_CHECK_TIMEOUT_SECONDS,
        graceful_shutdown_timeout_s=plan.drain_seconds,
        graceful_shutdown_wait_loop_s=DRAIN_LOOK_SECONDS,
        ray_actor_options={
            "num_cpus": plan.threads_per_replica,
            # All of one actor: Ray finds them on one machine, and the engine's process sees them all.
            "num_gpus": plan.gpus_per_replica,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(plan.threads_per_replica), **_code_path()}},
        },
        **options,
    )
    return deployment.bind(plan.options)


def build(arguments: dict[str, Any]) -> Application:
    """Return the application for a Serve configuration file; `arguments` are fields of the plan and of its options."""
    of_options = {field.name for field in fields(WorkerOptions)}
    known = of_options | {field.name for field in fields(ReplicaPlan)} - {"options"}
    if unknown := sorted(set(arguments) - known):
        raise InvalidRequest(f"args: unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if "model" not in arguments:
        raise InvalidRequest("args: model is missing; give the folder of a checkpoint, which every node can read")
    options = {"device": "cpu"} | {name: value for name, value in arguments.items() if name in of_options}
    others = {name: value for name, value in arguments.items() if name not in of_options}
    return application(ReplicaPlan(options=WorkerOptions(**options | {"model": Path(options["model"])}), **others))


def _code_path() -> dict[str, str]:
    """The path that this process finds its code on, where a variable names one."""
    path = os.environ.get("PYTHONPATH")
    return {} if not path else {"PYTHONPATH": os.pathsep.join(str(Path(part).absolute()) for part in path.split(":"))}
