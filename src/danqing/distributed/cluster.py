"""The Ray cluster, seen from a process that uses it: connecting, deploying, and the state of the deployment.

Calls into Ray block, so callers on an event loop use threads.
"""

import os
from dataclasses import dataclass

import ray
from ray import serve
from ray.serve import RunTarget
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ReplicaState

from danqing.distributed.application import APPLICATION, DEPLOYMENT, application
from danqing.distributed.replica_plan import ReplicaPlan
from danqing.errors import OperatorError

# Ray's own name for the cluster that a node of this machine belongs to.
THIS_MACHINE = "auto"
LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The state of the deployment, in Serve's own words. `replicas` counts them by state."""

    status: str
    message: str
    replicas: dict[str, int]

    @property
    def num_ready(self) -> int:
        """Replicas that can draw."""
        return self.replicas.get(ReplicaState.RUNNING.value, 0)


def connect(address: str | None) -> None:
    """Join the cluster at `address`, or start one on this machine for `local`. Raises OperatorError."""
    if ray.is_initialized():
        return
    # Ray would report to its makers; a cluster that others started decides for itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=None if address == LOCAL else address or THIS_MACHINE,
            # Replicas log to the files of Ray; here are the server's own lines.
            log_to_driver=False,
            configure_logging=False,
            include_dashboard=False if address == LOCAL else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = address or "on this machine"
        raise OperatorError(f"DANQING_RAY_ADDRESS: there is no Ray cluster at {where}: {error}") from error


def deploy(plan: ReplicaPlan, *, wait: bool) -> None:
    """Deploy or update the application; with `wait`, return when its replicas are ready."""
    # Clients call replicas by Ray's own handles; Serve needs no HTTP server.
    serve.start(proxy_location="Disabled")
    target = RunTarget(application(plan), name=APPLICATION, route_prefix=None)
    serve.run_many([target], wait_for_ingress_deployment_creation=wait, wait_for_applications_running=wait)


def deployed() -> Deployed | None:
    """Return the state of the deployment; None where nothing was deployed."""
    found = serve.status().applications.get(APPLICATION)
    if found is None:
        return None
    deployment = found.deployments.get(DEPLOYMENT)
    replicas = (
        {} if deployment is None else {ReplicaState(state).value: n for state, n in deployment.replica_states.items()}
    )
    message = found.message or (deployment.message if deployment else "")
    return Deployed(status=found.status.value, message=message, replicas=replicas)


def replicas() -> DeploymentHandle:
    """Return the handle that calls a replica."""
    return serve.get_deployment_handle(DEPLOYMENT, app_name=APPLICATION)
