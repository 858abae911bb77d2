"""One idempotency key, one charge: `PYTHONPATH=tests python proofs/idempotency.py [--keys N] [--parallel N]`.

Two real servers share one database, PostgreSQL unless told otherwise. Every key is sent by many clients at the same
moment to both servers, in all the ways that a client may wait. Afterwards each key has made one job and one charge.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from acceptance.server import MODEL_ID, Server, eventually, serving
from sqlalchemy import select

from danqing.database import Database
from danqing.jobs.tables import jobs
from danqing.reports import audit
from proofs.crash import LAUNCHER, postgresql

STARTING_CREDITS = 10**12
IMAGE_CREDITS = 210_000
BODY = {"model": MODEL_ID, "prompt": "x", "size": "64x64", "num_inference_steps": 2}
# Only the first way waits for the image; the key is the same whichever way its body comes.
WAYS = ({}, {"Prefer": "respond-async"})
REQUEST_SECONDS = 120

# Each thread is a client with connections of its own.
_client = threading.local()


@contextlib.contextmanager
def two_servers(folder: Path, *, database_url: str | None) -> Iterator[tuple[Server, Server]]:
    """Start two servers at once on a new database, so that their first start is a race as well."""
    environment = {
        "DANQING_STARTING_CREDITS": str(STARTING_CREDITS),
        "DANQING_LOG_LEVEL": "warning",
        "DANQING_MAX_CONCURRENT_REQUESTS": "10000",
        "DANQING_REQUESTS_PER_MINUTE": "1000000",
    } | ({"DANQING_DATABASE_URL": database_url} if database_url else {})
    command = (sys.executable, LAUNCHER, "inside")
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as starters:
        # Logs lie beside the data folder. SQLite has one folder for both servers.
        folders = [folder / name for name in (("a", "b") if database_url else ("a", "a"))]
        starting = [serving(path, command=command, **environment) for path in folders]
        servers = list(starters.map(stack.enter_context, starting))
        for server in servers:
            stack.callback(server.stop)
            server.key = next(other.key for other in servers if other.key)
            server.wait_until_ready()
        yield servers[0], servers[1]


def send(server: Server, idempotency_key: str, way: dict[str, str]) -> tuple[int, str]:
    """Send one request; return its status and the id of its job."""
    headers = {"Authorization": f"Bearer {server.key}", "Idempotency-Key": idempotency_key, **way}
    url = f"{server.url}/v1/images/generations"
    if not hasattr(_client, "session"):
        _client.session = requests.Session()
    response = _client.session.post(url, json=BODY, headers=headers, timeout=REQUEST_SECONDS)
    return response.status_code, response.headers["x-inference-id"]


def prove(folder: Path, *, database_url: str | None, num_keys: int, num_parallel: int) -> Counter[str]:
    """Send every key; return how the requests were answered. Raises AssertionError for a key charged twice."""
    answers: Counter[str] = Counter()
    with two_servers(folder, database_url=database_url) as servers, ThreadPoolExecutor(num_parallel) as clients:
        for key_index in range(num_keys):
            turns = range(num_parallel)
            results = list(
                clients.map(
                    lambda turn, key=f"key-{key_index}": send(servers[turn % 2], key, WAYS[turn // 2 % 2]), turns
                )
            )
            made = {job_id for status, job_id in results if status in (200, 202)}
            assert len(made) == 1, f"key {key_index} made the jobs {made}: {results}"
            answers.update(str(status) for status, _ in results)
        assert set(answers) <= {"200", "202", "409"}, answers
        eventually(lambda: all("danqing_jobs_running 0.0" in server.get("/metrics").text for server in servers))
    _compare(Database(database_url or f"sqlite:///{folder / 'a' / 'danqing.db'}"), num_keys=num_keys)
    return answers


def _compare(database: Database, *, num_keys: int) -> None:
    with database.read() as conn:
        assert audit.check(conn) == []
        rows = conn.execute(select(jobs.c.idempotency_key, jobs.c.status, jobs.c.charged_credits)).all()
    database.close()
    assert len(rows) == len({row.idempotency_key for row in rows}) == num_keys
    assert {(row.status, row.charged_credits) for row in rows} == {("completed", IMAGE_CREDITS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=20)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = stack.enter_context(postgresql()) if arguments.database == "postgresql" else None
        began = time.monotonic()
        answers = prove(Path(folder), database_url=url, num_keys=arguments.keys, num_parallel=arguments.parallel)
        seconds = time.monotonic() - began
        print(
            f"{arguments.keys} keys x {arguments.parallel} requests over two servers on {arguments.database}: ", end=""
        )
        print(f"each made one job and one charge; {seconds:.0f} s; answers {dict(answers)}")


if __name__ == "__main__":
    main()
