"""Three API processes as one service: `make processes`, or `make processes OPTIONS=--ray`.

They share one PostgreSQL database, one bucket of a running S3 server and, with `--ray`, two replicas of a tiny
checkpoint on one Ray cluster; otherwise each has a scripted engine inside. One process after the other is killed and
started again while clients repeat their requests with their idempotency keys. Afterwards every request has one job, one
charge and pictures in the bucket; and a limit of ten requests a minute is ten in all.
"""

import argparse
import contextlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import requests
from acceptance.server import DANQING, MODEL_ID, Server, eventually
from distributed.ray_cluster import cluster
from sqlalchemy import select
from tiny_checkpoints import config_values, random_model, stored_tensors, write_checkpoint

from danqing.accounts import queries
from danqing.accounts.api_keys import create_key
from danqing.database import Database
from danqing.jobs.tables import jobs
from danqing.reports import audit
from proofs.crash import LAUNCHER, postgresql

NUM_PROCESSES = 3
NUM_REPLICAS = 2
SCRIPTED = (sys.executable, LAUNCHER, "inside")
KILL_SECONDS = 10
REQUEST_SECONDS = 60
RETRY_SECONDS = 0.3
LIMIT = 10
IMAGE_CREDITS = 210_000
# Ten steps of the prompt `slow` take the scripted engine 0.2 s: there is always something in it to be killed.
BODY = {"model": MODEL_ID, "prompt": "slow", "size": "64x64", "num_inference_steps": 10}


@contextlib.contextmanager
def bucket() -> Iterator[dict[str, str]]:
    """Run an S3 server with an empty bucket; give the variables that lead to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A process of its own: the clients of the proof keep this one busy.
    command = [sys.executable, "-m", "moto.server", "--host=127.0.0.1", f"--port={port}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: _make_bucket(url))
    yield {
        "DANQING_STORAGE_URL": "s3://pictures/danqing",
        "AWS_ENDPOINT": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    server.terminate()
    server.wait()


def _make_bucket(url: str) -> bool:
    try:
        return requests.put(f"{url}/pictures", timeout=REQUEST_SECONDS).ok
    except requests.ConnectionError:
        return False


class Fleet:
    """The processes, and the one API key that all of them know. A killed one has a new address afterwards."""

    def __init__(self, folder: Path, environment: dict[str, str], command: Sequence[str | Path]) -> None:
        self._folder, self._environment, self._command = folder, environment, command
        self.num_kills = 0
        first = self._start(0)
        self.key = first.key
        with ThreadPoolExecutor(NUM_PROCESSES) as starters:
            self.servers = [first, *starters.map(self._start, range(1, NUM_PROCESSES))]

    def kill_again_and_again(self, until: float) -> None:
        """Kill a process every few seconds and start it again meanwhile; the last one that serves is spared."""
        starting: dict[int, Future[None]] = {}
        with ThreadPoolExecutor(NUM_PROCESSES) as starters:
            while time.monotonic() + KILL_SECONDS < until:
                time.sleep(KILL_SECONDS)
                serving = [index for index in range(NUM_PROCESSES) if index not in starting or starting[index].done()]
                if len(serving) > 1:
                    index = random.choice(serving)
                    self.servers[index].stop(signal.SIGKILL)
                    self.num_kills += 1
                    starting[index] = starters.submit(self._restart, index)
        for each in starting.values():
            each.result()

    def stop(self) -> None:
        """End every process."""
        for server in self.servers:
            server.stop()

    def _restart(self, index: int) -> None:
        self.servers[index] = self._start(index)

    def _start(self, index: int) -> Server:
        server = Server(self._folder / f"process-{index}", environment=self._environment, command=self._command)
        server.key = server.key or getattr(self, "key", "")
        server.wait_until_ready()
        return server


def draw(fleet: Fleet, idempotency_key: str, told: Counter[str]) -> str:
    """Repeat one request at any process until its picture is there; return the id of its job."""
    headers = {"Authorization": f"Bearer {fleet.key}", "Idempotency-Key": idempotency_key}
    while True:
        url = random.choice(fleet.servers).url
        try:
            response = requests.post(
                f"{url}/v1/images/generations", json=BODY, headers=headers, timeout=REQUEST_SECONDS
            )
        except requests.RequestException:
            told["connection lost"] += 1
            time.sleep(RETRY_SECONDS)
            continue
        told[str(response.status_code)] += 1
        if response.status_code == 200:
            told["replayed"] += response.headers.get("Idempotent-Replayed") == "true"
            return response.headers["x-inference-id"]
        assert response.status_code in (409, 500, 503), response.text
        time.sleep(float(response.headers.get("Retry-After", RETRY_SECONDS)))


def prove_one_answer_each(
    fleet: Fleet, *, seconds: float, num_clients: int
) -> tuple[dict[str, str], Counter[str], int]:
    """Return the job of each idempotency key, what clients were told, and the number of kills."""
    told, answered = Counter[str](), dict[str, str]()
    until = time.monotonic() + seconds

    def use() -> None:
        while time.monotonic() < until:
            key = uuid.uuid4().hex
            answered[key] = draw(fleet, key, told)

    with ThreadPoolExecutor(num_clients + 1) as threads:
        users = [threads.submit(use) for _ in range(num_clients)]
        killing = threads.submit(fleet.kill_again_and_again, until)
        for future in (*users, killing):
            future.result()
    fleet.stop()
    return answered, told, fleet.num_kills


def new_key(database_url: str) -> str:
    """Make another API key, which has its whole limit."""
    database = Database(database_url)
    with database.write() as conn:
        account = queries.list_accounts(conn)[0]
        secret = create_key(conn, account_id=account.id, name="limit", now=datetime.now(UTC)).secret
    database.close()
    return secret


def prove_limit(fleet: Fleet, key: str) -> tuple[int, float]:
    """Return how many of many requests at once three processes admitted, and in how many seconds."""
    headers = {"Authorization": f"Bearer {key}", "Prefer": "respond-async"}
    ready = threading.Barrier(6 * NUM_PROCESSES)

    def send(index: int) -> int:
        ready.wait()
        url = f"{fleet.servers[index % NUM_PROCESSES].url}/v1/images/generations"
        return requests.post(url, json=BODY, headers=headers, timeout=REQUEST_SECONDS).status_code

    began = time.monotonic()
    with ThreadPoolExecutor(6 * NUM_PROCESSES) as clients:
        statuses = Counter(clients.map(send, range(6 * NUM_PROCESSES)))
    seconds = time.monotonic() - began
    assert set(statuses) == {202, 429}, statuses
    # The bucket refills evenly meanwhile.
    assert LIMIT <= statuses[202] <= LIMIT + seconds * LIMIT / 60, statuses
    eventually(lambda: all("danqing_jobs_running 0.0" in server.get("/metrics").text for server in fleet.servers))
    fleet.stop()
    return statuses[202], seconds


def compare(database_url: str, answered: dict[str, str]) -> None:
    """Raise AssertionError unless each answered key has one job, completed and charged once."""
    database = Database(database_url)
    with database.read() as conn:
        assert audit.check(conn) == []
        rows = conn.execute(
            select(jobs.c.id, jobs.c.idempotency_key, jobs.c.charged_credits).where(jobs.c.status == "completed")
        ).all()
        assert not conn.execute(select(jobs.c.id).where(jobs.c.lease_expires_at.is_not(None))).all()
    database.close()
    drawn = {row.idempotency_key: row.id for row in rows}
    assert len(drawn) == len(rows), "a key was drawn twice"
    assert drawn == answered
    assert {row.charged_credits for row in rows} == {IMAGE_CREDITS}


@contextlib.contextmanager
def engine(folder: Path, *, on_ray: bool) -> Iterator[tuple[dict[str, str], Sequence[str | Path]]]:
    """Give the variables and the command of a process that draws by the scripted engine, or on Ray."""
    if not on_ray:
        yield {}, SCRIPTED
        return
    values = config_values(max_position_embeddings=4096)
    checkpoint = write_checkpoint(folder / "tiny", values, stored_tensors(random_model(values)))
    with cluster(checkpoint, num_cpus=NUM_REPLICAS) as ray:
        ray.deploy("--replicas", str(NUM_REPLICAS))
        yield ray.environment | {"DANQING_ENGINE": "ray", "DANQING_IMAGE_CHECK": "none"}, (DANQING,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray", action="store_true", help="needs Ray in the environment")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--clients", type=int, default=200)
    options = parser.parse_args()
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        url, variables = running.enter_context(postgresql()), running.enter_context(bucket())
        drawing, command = running.enter_context(engine(folder, on_ray=options.ray))
        environment = {
            **variables,
            **drawing,
            "DANQING_DATABASE_URL": url,
            "DANQING_STARTING_CREDITS": str(10**12),
            "DANQING_LOG_LEVEL": "warning",
            "DANQING_LEASE_SECONDS": "3",
            "DANQING_MAX_CONCURRENT_REQUESTS": "10000",
            "DANQING_REQUESTS_PER_MINUTE": "1000000",
        }
        fleet = Fleet(folder, environment, command)
        answered, told, num_kills = prove_one_answer_each(fleet, seconds=options.seconds, num_clients=options.clients)
        compare(url, answered)
        print(f"{len(answered)} requests, {num_kills} kills: each was answered once, by one job with one charge")
        print(f"what clients were told: {dict(told)}")
        limited = Fleet(folder, environment | {"DANQING_REQUESTS_PER_MINUTE": str(LIMIT)}, command)
        admitted, seconds = prove_limit(limited, new_key(url))
        print(f"a limit of {LIMIT} a minute admitted {admitted} of {6 * NUM_PROCESSES} requests in {seconds:.1f} s")


if __name__ == "__main__":
    main()
