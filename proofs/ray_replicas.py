"""Replicas on a Ray cluster: `make ray-replicas`, or `PYTHONPATH=tests python proofs/ray_replicas.py [STAGE ...]`.

A head node, three nodes with a CPU each, replicas of a tiny checkpoint, and a server before them: all real processes
of this machine. Each stage prints a line of figures, and an AssertionError ends the run.
"""

import argparse
import itertools
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from acceptance.server import ANSWER_SECONDS, MODEL_ID, Server, eventually, serving
from distributed.ray_cluster import START_SECONDS, Cluster, cluster_of_nodes, serving_on, ticks
from tiny_checkpoints import config_values, random_model, stored_tensors, write_checkpoint

from danqing.distributed import cluster as serve

BODY: dict[str, Any] = {"num_inference_steps": 20, "size": "512x512"}
LONG: dict[str, Any] = {"num_inference_steps": 50, "size": "1024x1024"}
IMAGE_CREDITS = 210_000
STARTING_CREDITS = 10**12
NUM_NODES = 3
NUM_CLIENTS = 8
SEEDS = range(1, 9)
MAX_PAUSE_SECONDS = 2.0
# A step that was just begun, and the looks at the processor time.
SLACK_SECONDS = 0.3


@dataclass
class Place:
    """Where everything runs."""

    cluster: Cluster
    nodes: Any
    server: Server
    folder: Path
    num_kills: int
    num_images: int
    local_files: list[bytes] = field(default_factory=list)

    def scale(self, number: int) -> float:
        """Deploy another number of replicas; return the seconds until they can draw and the others are gone."""
        began = time.monotonic()
        self.cluster.deploy("--replicas", str(number))
        self.wait_for(number)
        return time.monotonic() - began

    def wait_for(self, number: int) -> None:
        """Wait until Serve counts so many replicas, and each of them has its engine."""

        def reached() -> bool:
            deployed = serve.deployed()
            return deployed is not None and deployed.num_ready == number == len(self.cluster.engine_processes())

        eventually(reached, limit_seconds=START_SECONDS)

    def node_of(self, replica: int) -> Any:
        """The node whose raylet started the replica."""
        parent = int(Path(f"/proc/{replica}/stat").read_text().rpartition(")")[2].split()[1])
        (node,) = (node for node in self.nodes.worker_nodes if node.all_processes["raylet"][0].process.pid == parent)
        return node


def draw(server: Server, seed: int) -> requests.Response:
    """Draw one image, over a connection of its own."""
    body = {"model": MODEL_ID, "prompt": "A brown dog on a beach.", "seed": seed, **BODY}
    headers = {"Authorization": f"Bearer {server.key}"}
    return requests.post(f"{server.url}/v1/images/generations", json=body, headers=headers, timeout=ANSWER_SECONDS)


def files(server: Server) -> list[bytes]:
    """Draw all seeds at once."""
    with ThreadPoolExecutor(NUM_CLIENTS) as threads:
        return [server.fetch(each.json()["data"][0]["url"]) for each in threads.map(lambda s: draw(server, s), SEEDS)]


def images_per_second(server: Server, num_images: int) -> float:
    """The throughput of eight clients."""
    began = time.monotonic()
    with ThreadPoolExecutor(NUM_CLIENTS) as threads:
        statuses = Counter(
            each.status_code for each in threads.map(lambda s: draw(server, s), range(1, num_images + 1))
        )
    assert statuses == {200: num_images}, statuses
    return num_images / (time.monotonic() - began)


@contextmanager
def clients(server: Server) -> Iterator[list[int]]:
    """Draw all the while; give the statuses so far. Afterwards every request was served, and charged once."""
    balance, over, statuses = server.balance(), threading.Event(), list[int]()
    seeds = itertools.count(1000)

    def use() -> None:
        while not over.is_set():
            response = draw(server, next(seeds))
            statuses.append(response.status_code)
            assert response.status_code == 200, response.text

    with ThreadPoolExecutor(NUM_CLIENTS) as threads:
        users = [threads.submit(use) for _ in range(NUM_CLIENTS)]
        try:
            yield statuses
        finally:
            over.set()
        for user in users:
            user.result()
    assert balance - server.balance() == IMAGE_CREDITS * len(statuses)
    assert server.run("credits", "check").returncode == 0


def prove_files(place: Place) -> None:
    """One, two and three replicas draw the files of a local engine."""
    for number in (1, 2, 3):
        place.scale(number)
        assert files(place.server) == place.local_files
        print(f"{number} replicas: {len(SEEDS)} files equal to the local engine's", flush=True)


def prove_throughput(place: Place) -> None:
    """One and two replicas in turn, on the same machine within a minute."""
    for number in (1, 2, 1, 2):
        place.scale(number)
        speed = images_per_second(place.server, place.num_images)
        print(f"{number} replicas: {speed:.2f} images a second", flush=True)


def prove_scaling(place: Place) -> None:
    """From one to two and back while clients draw: the first replica stays, and nothing is lost."""
    place.scale(1)
    (first,) = place.cluster.engine_processes()
    with clients(place.server) as statuses:
        up = place.scale(2)
        assert first in place.cluster.engine_processes(), "the first replica was restarted"
        down = place.scale(1)
    print(f"1 -> 2 in {up:.0f} s, 2 -> 1 in {down:.0f} s; {len(statuses)} requests, none lost", flush=True)


def prove_autoscaling(place: Place) -> None:
    """Between one and two, and clients bring the second. Ray takes it away after ten minutes without work."""
    place.scale(1)
    place.cluster.deploy("--min", "1", "--max", "2")
    place.wait_for(1)
    with clients(place.server) as statuses:
        began = time.monotonic()
        place.wait_for(2)
        seconds = time.monotonic() - began
    print(f"{NUM_CLIENTS} clients brought the second replica in {seconds:.0f} s; {len(statuses)} requests", flush=True)


def prove_kills(place: Place) -> None:
    """SIGKILL for one of two replicas at random, again and again."""
    place.scale(2)
    with clients(place.server) as statuses:
        began = time.monotonic()
        for number in range(place.num_kills):
            place.wait_for(2)
            print(f"  kill {number + 1} at {time.monotonic() - began:.0f} s", flush=True)
            time.sleep(random.uniform(0, MAX_PAUSE_SECONDS))
            engine, replica = random.choice(list(place.cluster.engine_processes().items()))
            os.kill(replica, signal.SIGKILL)
            eventually(lambda engine=engine: engine not in place.cluster.engine_processes())
    print(f"{place.num_kills} replicas killed: {len(statuses)} requests, none lost, each charged once", flush=True)


def prove_node(place: Place) -> None:
    """A node ends in the midst of a job: another one goes on with the missing images."""
    place.scale(2)
    (expected,) = place.server.pictures(seed=9, **LONG)
    balance = place.server.balance()
    job_id = place.server.begin_long_job(num_images=4, **LONG)
    engine = place.cluster.busiest()
    began = time.monotonic()
    place.nodes.remove_node(place.node_of(place.cluster.engine_processes()[engine]), allow_graceful=False)
    job = place.server.finished(job_id)
    seconds = time.monotonic() - began
    assert job["status"] == "completed", job
    assert place.server.fetch(job["data"][2]["url"]) == expected
    assert place.server.balance() == balance - 4 * IMAGE_CREDITS
    place.wait_for(2)
    replaced = time.monotonic() - began
    print(f"a node removed: its job was done {seconds:.0f} s later, two replicas after {replaced:.0f} s", flush=True)
    place.nodes.add_node(num_cpus=1)


def prove_cancelling(place: Place) -> None:
    """A cancelled job leaves its replica within one step."""
    place.scale(1)
    job_id = place.server.begin_long_job(num_images=1, **LONG)
    began = [time.monotonic() for _, _ in zip(range(5), place.server.events(job_id), strict=False)]
    step_seconds = (began[-1] - began[1]) / 3
    (engine,) = place.cluster.engine_processes()
    url = f"{place.server.url}/v1/images/generations/{job_id}"
    place.server.session.delete(url, headers={"Authorization": f"Bearer {place.server.key}"}).raise_for_status()
    cancelled = last_drawn = time.monotonic()
    while time.monotonic() - last_drawn < max(1.0, 2 * step_seconds):
        before = ticks(engine)
        time.sleep(0.05)
        if ticks(engine) > before:
            last_drawn = time.monotonic()
    took = last_drawn - cancelled
    print(f"cancelled: the replica drew for {took:.2f} s more; a step takes {step_seconds:.2f} s", flush=True)
    assert took <= step_seconds + SLACK_SECONDS


STAGES = {
    "files": prove_files,
    "throughput": prove_throughput,
    "scaling": prove_scaling,
    "autoscaling": prove_autoscaling,
    "kills": prove_kills,
    "node": prove_node,
    "cancelling": prove_cancelling,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all without any")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=24, help="images of each measurement of throughput")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if unknown := set(options.stages) - set(STAGES):
        parser.error(f"no stage: {', '.join(unknown)}")
    random.seed(options.seed)
    environment = {"DANQING_STARTING_CREDITS": str(STARTING_CREDITS), "DANQING_LOG_LEVEL": "warning"}
    with tempfile.TemporaryDirectory(prefix="danqing-proof-") as name:
        folder = Path(name)
        values = config_values(max_position_embeddings=4096)
        checkpoint = write_checkpoint(folder / "tiny", values, stored_tensors(random_model(values)))
        alone = {"DANQING_MODEL": str(checkpoint), "DANQING_IMAGE_CHECK": "none", "OMP_NUM_THREADS": "1"}
        with serving(folder / "local", **environment, **alone) as local:
            local.wait_until_ready()
            local_files = files(local)
            print(f"the local engine: {images_per_second(local, options.images):.2f} images a second", flush=True)
        with cluster_of_nodes(checkpoint, num_nodes=NUM_NODES) as (cluster, nodes):
            serve.connect(cluster.address)
            cluster.deploy("--replicas", "1")
            with serving_on(cluster, folder / "data", **environment) as server:
                place = Place(cluster, nodes, server, folder, options.kills, options.images, local_files)
                for stage in options.stages or STAGES:
                    began = time.monotonic()
                    STAGES[stage](place)
                    print(f"  {stage}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
