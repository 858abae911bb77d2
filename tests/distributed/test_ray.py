"""Two replicas on a real Ray cluster behind a real server: the same files, and jobs that outlive a replica."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from acceptance.server import Server, eventually
from distributed.ray_cluster import Cluster, cluster, serving_on, ticks

pytest.importorskip("ray", reason="the extra `ray` is not installed")

SHORT: dict[str, Any] = {"num_inference_steps": 4, "size": "256x256"}
LONG: dict[str, Any] = {"num_inference_steps": 50, "size": "1024x1024"}
PRICE = 210_000


@pytest.fixture(scope="module")
def two_replicas(tiny_checkpoint: Path) -> Iterator[Cluster]:
    with cluster(tiny_checkpoint, num_cpus=3) as two_replicas:
        two_replicas.deploy("--replicas", "2")
        yield two_replicas


@pytest.fixture(scope="module")
def server(two_replicas: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_on(two_replicas, tmp_path_factory.mktemp("ray") / "data") as server:
        yield server


def test_every_replica_draws_the_files_that_a_local_engine_draws(
    server: Server, two_replicas: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "local.png"
    arguments = ("--seed", "7", "--steps", "4", "--size", "256x256", "--no-show", "-o", str(file))
    server.run("generate", "A brown dog on a beach.", *arguments).check_returncode()
    before = {process: ticks(process) for process in two_replicas.engine_processes()}
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda _: server.pictures(seed=7, **SHORT), range(16)))
    assert drawn == [[file.read_bytes()]] * 16
    assert all(ticks(process) > then for process, then in before.items()), "both replicas drew"
    assert server.post(**SHORT).json()["meta"]["engine"].startswith("ray: tiny (")
    assert "2 running" in two_replicas.run("ray", "status").stdout


def test_a_cancelled_job_frees_its_replica(server: Server, two_replicas: Cluster) -> None:
    job_id = server.begin_long_job(num_images=4, **LONG)
    headers = {"Authorization": f"Bearer {server.key}"}
    server.session.delete(f"{server.url}/v1/images/generations/{job_id}", headers=headers)
    time.sleep(1)  # The step that was running.
    before = {process: ticks(process) for process in two_replicas.engine_processes()}
    time.sleep(2)
    # A hundredth of a second each; a replica that draws takes tens of them.
    assert all(ticks(process) - then <= 5 for process, then in before.items())


def test_a_server_that_is_killed_frees_its_replica(two_replicas: Cluster, tmp_path: Path) -> None:
    with serving_on(two_replicas, tmp_path / "data") as doomed:
        doomed.begin_long_job(num_images=4, **LONG)
        drawing = two_replicas.busiest()
        doomed.stop(signal.SIGKILL)
        # A replica that draws takes nearly all of a core, and would for ten seconds.
        eventually(lambda: ticks_in_a_second(drawing) <= 5, limit_seconds=5)


def ticks_in_a_second(process: int) -> int:
    before = ticks(process)
    time.sleep(1)
    return ticks(process) - before


def test_another_number_of_replicas_keeps_those_that_run(two_replicas: Cluster) -> None:
    both = set(two_replicas.engine_processes())
    two_replicas.deploy("--replicas", "1")
    eventually(lambda: len(two_replicas.engine_processes()) == 1)
    (kept,) = two_replicas.engine_processes()
    assert kept in both
    two_replicas.deploy("--replicas", "2")
    assert len(two_replicas.engine_processes()) == 2
    assert kept in two_replicas.engine_processes()


def test_a_job_outlives_its_replica_and_is_charged_once(server: Server, two_replicas: Cluster) -> None:
    (expected,) = server.pictures(seed=9, **LONG)
    balance = server.balance()
    job_id = server.begin_long_job(num_images=4, **LONG)
    busy = two_replicas.busiest()
    os.kill(two_replicas.engine_processes()[busy], signal.SIGKILL)
    job = server.finished(job_id)
    assert job["status"] == "completed", job
    assert [image["seed"] for image in job["data"]] == [7, 8, 9, 10]
    assert server.fetch(job["data"][2]["url"]) == expected
    assert server.balance() == balance - 4 * PRICE
    assert server.run("credits", "check").returncode == 0
    eventually(lambda: not Path(f"/proc/{busy}").exists())
