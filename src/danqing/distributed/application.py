"""The Ray Serve application: how many replicas there are, what each of them needs, and how long they may take to stop.

Ray's own tools deploy it too: `import_path: danqing.distributed.application:build`, with fields of `ReplicaPlan` and
`WorkerOptions` as `args`.
"""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application

from danqing.distributed.replica import Replica
from danqing.distributed.replica_plan import ReplicaPlan, read_plan

APPLICATION = "danqing"
DEPLOYMENT = "engine"
HEALTH_CHECK_PERIOD_SECONDS = 5.0
HEALTH_CHECK_TIMEOUT_SECONDS = 30.0
# Between two looks at whether a replica that stops has anything left to do.
DRAIN_LOOK_SECONDS = 1.0


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
    # Serve would replace every replica at each deployment, even where only their number changes. Its own word for that
    # is internal; its public one is a configuration file.
    return deployment.options(version=_code_version(plan), _internal=True).bind(plan.options)


def build(arguments: dict[str, Any]) -> Application:
    """Return the application for a Serve configuration file; `arguments` are fields of the plan and of its options."""
    return application(read_plan(arguments))


def _code_path() -> dict[str, str]:
    """The path that this process finds its code on, where a variable names one."""
    path = os.environ.get("PYTHONPATH")
    return {} if not path else {"PYTHONPATH": os.pathsep.join(str(Path(part).absolute()) for part in path.split(":"))}


def _code_version(plan: ReplicaPlan) -> str:
    """What tells replicas apart that cannot stand in for each other: this package's version, and what they load."""
    return hashlib.sha256(f"{version('danqing')} {plan.options}".encode()).hexdigest()[:16]
