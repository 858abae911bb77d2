"""`danqing ray`: deploy replicas of the engine on a Ray cluster, and show how they are."""

from dataclasses import asdict
from importlib.util import find_spec
from typing import Annotated

import typer

from danqing.cli.extras import NEEDS_RAY
from danqing.cli.session import read_settings
from danqing.cli.terminal import AsJson, ExitCode, fail, output, print_json

app = typer.Typer(no_args_is_help=True, help="Replicas of the engine on a Ray cluster, for DANQING_ENGINE=ray.")

Least = Annotated[int | None, typer.Option("--min", min=1, help="Least replicas; with --max, Ray scales by load.")]
Most = Annotated[int | None, typer.Option("--max", min=1, help="Most replicas.")]
Gpus = Annotated[int, typer.Option("--gpus-per-replica", min=0, help="GPUs of one machine that each replica gets.")]
Threads = Annotated[int, typer.Option("--threads-per-replica", min=1, help="CPUs, and threads, of each replica.")]


@app.command()
def deploy(
    replicas: Annotated[int | None, typer.Option(min=1, help="Number of replicas. [default: 1]")] = None,
    least: Least = None,
    most: Most = None,
    gpus_per_replica: Gpus = 0,
    threads_per_replica: Threads = 1,
) -> None:
    """Deploy the model of `DANQING_MODEL`, or change what is deployed, and wait until it can draw.

    Example: `danqing ray deploy --min 1 --max 4 --gpus-per-replica 1`

    Every node must be able to read the model's folder under the same path, and have Danqing installed.
    """
    if replicas is not None and (least is not None or most is not None):
        fail("give --replicas, or --min and --max", code=ExitCode.BAD_INPUT)
    _require_ray()
    from danqing.distributed import cluster
    from danqing.distributed.replica_plan import ReplicaPlan
    from danqing.engines import worker_options

    settings = read_settings()
    least = replicas or least or 1
    plan = ReplicaPlan(
        options=worker_options(settings),
        min_replicas=least,
        max_replicas=replicas or most or least,
        gpus_per_replica=gpus_per_replica,
        threads_per_replica=threads_per_replica,
        jobs_per_replica=settings.max_concurrent_jobs,
        drain_seconds=settings.job_time_limit_seconds,
    )
    cluster.connect(settings.ray_address)
    cluster.deploy(plan, wait=True)
    output.print("Deployed. Next: DANQING_ENGINE=ray danqing serve")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the replicas by state. The exit code is 4 unless one can draw.

    Example: `danqing ray status --json`
    """
    _require_ray()
    from danqing.distributed import cluster

    cluster.connect(read_settings().ray_address)
    deployed = cluster.deployed()
    if deployed is None:
        fail("nothing is deployed; run danqing ray deploy", code=ExitCode.ENGINE_FAILED)
    if as_json:
        print_json(asdict(deployed))
    else:
        states = ", ".join(f"{number} {state.lower()}" for state, number in deployed.replicas.items())
        output.print(f"{deployed.status.lower()}: {states or 'no replicas'}")
        if deployed.message:
            output.print(deployed.message, markup=False, soft_wrap=True)
    if deployed.num_ready == 0:
        raise typer.Exit(ExitCode.ENGINE_FAILED)


def _require_ray() -> None:
    if find_spec("ray") is None:
        fail(NEEDS_RAY, code=ExitCode.BAD_INPUT)
