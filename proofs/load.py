"""What the service costs by itself, and what many clients at once see: `PYTHONPATH=tests python proofs/load.py`.

Real servers on SQLite. The engine answers at once, or draws scripted pictures in a child process; no model takes part,
so what is measured is HTTP, validation, money, queue, encoding and storage.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from acceptance.server import MODEL_ID, Server, serving
from sqlalchemy import select

from danqing.database import Database
from danqing.jobs.tables import jobs
from danqing.reports import audit

LAUNCHER = Path(__file__).parents[1] / "tests" / "acceptance" / "serve_scripted.py"
PATH = "/v1/images/generations"
STEP_SECONDS = 0.02  # of the prompt `slow`
NUM_CLIENTS = 200
MIB = 2**20


@dataclass
class Answer:
    """What one request came to."""

    status: int
    seconds: float
    body: bytes


class Client:
    """One kept-alive connection with a key."""

    def __init__(self, server: Server, key: str) -> None:
        self._connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=300)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def draw(self, *, prefer: str = "", **body: object) -> Answer:
        """Ask for a picture of 64 x 64 and wait for the answer."""
        body = {"model": MODEL_ID, "prompt": "x", "size": "64x64", "num_inference_steps": 2, **body}
        headers = self._headers | ({"Prefer": prefer} if prefer else {})
        began = time.perf_counter()
        self._connection.request("POST", PATH, body=json.dumps(body), headers=headers)
        response = self._connection.getresponse()
        data = response.read()
        return Answer(response.status, time.perf_counter() - began, data)

    def begin(self, **body: object) -> None:
        """Send a request whose answer is not waited for."""
        body = {"model": MODEL_ID, "size": "64x64", **body}
        self._connection.request("POST", PATH, body=json.dumps(body), headers=self._headers)

    def first_event(self, job_id: str, *, of: str) -> float:
        """Follow a job; return when the first event of this kind arrived."""
        self._connection.request("GET", f"{PATH}/{job_id}/events", headers=self._headers)
        with self._connection.getresponse() as response:
            while of.encode() not in response.readline():
                pass
            return time.perf_counter()

    def hang_up(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def draw_once(server: Server, key: str) -> Answer:
    """One picture over a connection of its own."""
    with Client(server, key) as client:
        return client.draw()


@contextmanager
def _server(engine: str, **environment: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        common = {
            "DANQING_MODEL": str(folder / "model"),
            "DANQING_STARTING_CREDITS": str(10**12),
            "DANQING_REQUESTS_PER_MINUTE": str(10**6),
            "DANQING_LOG_LEVEL": "warning",
        }
        with serving(folder / "data", command=(sys.executable, LAUNCHER, engine), **common, **environment) as server:
            server.wait_until_ready()
            yield server
            check = server.run("credits", "check")
            assert check.returncode == 0, check.stdout


def _database_of(server: Server) -> Database:
    return Database(f"sqlite:///{server.log_file.with_suffix('') / 'danqing.db'}")


def _rss_mib(server: Server) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _cpu_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _at_once(actions: list[Callable[[], Answer]]) -> list[Answer]:
    with ThreadPoolExecutor(len(actions)) as threads:
        return [future.result() for future in [threads.submit(action) for action in actions]]


def _percentile(values: list[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def added_time(num_requests: int) -> None:
    """An engine that answers at once: what is left is the service."""
    with _server("inside") as server, Client(server, server.key) as client:
        for _ in range(20):
            client.draw()
        cpu = _cpu_seconds(server)
        answers = [client.draw() for _ in range(num_requests)]
        cpu = (_cpu_seconds(server) - cpu) / num_requests
        assert {answer.status for answer in answers} == {200}
        seconds = [answer.seconds for answer in answers]
        print(f"added time, one client: median {1000 * statistics.median(seconds):.1f} ms,", end=" ")
        print(f"p99 {1000 * _percentile(seconds, 99):.1f} ms, processor {1000 * cpu:.1f} ms a request")
        num_clients = 16
        each = num_requests // num_clients
        cpu, began = _cpu_seconds(server), time.perf_counter()

        def many() -> Answer:
            with Client(server, server.key) as own:
                assert all(own.draw().status == 200 for _ in range(each - 1))
                return own.draw()

        _at_once([many] * num_clients)
        total, seconds_all = each * num_clients, time.perf_counter() - began
        cpu = (_cpu_seconds(server) - cpu) / total
        print(
            f"{num_clients} clients: {total / seconds_all:.1f} requests/s, processor {1000 * cpu:.1f} ms a request,",
            end=" ",
        )
        print(f"so at most {1 / cpu:.0f} requests/s of one core")


def many_clients(num_rounds: int) -> None:
    """Rounds of 200 clients at once, 150 of one account and then 50 of another."""
    with _server("child") as server:
        assert server.run("accounts", "create", "second", "--name", "Second").returncode == 0
        assert server.run("credits", "grant", str(10**12), "--account", "second").returncode == 0
        second = server.run("keys", "create", "--name", "second", "--account", "second").stdout.strip()
        keys = [server.key] * (NUM_CLIENTS * 3 // 4) + [second] * (NUM_CLIENTS // 4)
        rss_mib = [_rss_mib(server)]
        for _ in range(num_rounds):
            began = time.perf_counter()
            answers = _at_once([lambda key=key: draw_once(server, key) for key in keys])
            seconds = time.perf_counter() - began
            assert [answer.status for answer in answers] == [200] * NUM_CLIENTS, {answer.status for answer in answers}
            assert len({json.loads(answer.body)["data"][0]["url"] for answer in answers}) == NUM_CLIENTS
            rss_mib.append(_rss_mib(server))
        print(
            f"{NUM_CLIENTS} clients at once, {num_rounds} rounds: {num_rounds * NUM_CLIENTS} pictures, none lost;",
            end=" ",
        )
        print(f"last round {seconds:.1f} s, median {statistics.median(a.seconds for a in answers):.2f} s,", end=" ")
        print(f"slowest {max(a.seconds for a in answers):.2f} s")
        print("resident memory before and after each round, MiB:", " ".join(f"{mib:.0f}" for mib in rss_mib))
        _tell_fairness(server)


def _tell_fairness(server: Server) -> None:
    """Of the last round: how the starts were shared while both accounts had jobs waiting."""
    database = _database_of(server)
    with database.read() as conn:
        assert audit.check(conn) == []
        rows = conn.execute(select(jobs).order_by(jobs.c.started_at.desc()).limit(NUM_CLIENTS)).all()
    database.close()
    starts = [(row.started_at, row.account_id) for row in reversed(rows)]
    arrivals = {
        account: min(row.created_at for row in rows if row.account_id == account) for account in ("default", "second")
    }
    both_from = max(arrivals.values())
    both_until = min(max(at for at, account in starts if account == name) for name in arrivals)
    shares = [account for at, account in starts if both_from <= at <= both_until]
    waited = {
        name: statistics.median(
            (row.started_at - row.created_at).total_seconds() for row in rows if row.account_id == name
        )
        for name in arrivals
    }
    print(f"while both accounts waited: {shares.count('default')} starts of the one with 150 clients,", end=" ")
    print(f"{shares.count('second')} of the one with 50;", end=" ")
    print(f"median wait {waited['default']:.2f} s and {waited['second']:.2f} s")


def _wait_after_hang_up(server: Server, leaver: Client, waiter: Client, watcher: Client) -> float:
    """Seconds from the hang-up to the first step of the job that waited."""
    leaver.begin(prompt="slow", num_inference_steps=50, num_images=4)
    while b"danqing_jobs_running 1.0" not in server.get("/metrics").content:
        time.sleep(0.005)
    job_id = json.loads(waiter.draw(prompt="slow", num_inference_steps=1, prefer="respond-async").body)["id"]
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(watcher.first_event, job_id, of="image_generation.progress")
        time.sleep(0.3)
        began = time.perf_counter()
        leaver.hang_up()
        return first.result(60) - began


def hang_ups(num_trials: int) -> None:
    """The engine takes one job at a time, and the next waits for a client that hangs up in mid-drawing."""
    with _server("child", DANQING_MAX_CONCURRENT_JOBS="1") as server:
        waits = []
        for _ in range(num_trials):
            with (
                Client(server, server.key) as leaver,
                Client(server, server.key) as waiter,
                Client(server, server.key) as watcher,
            ):
                waits.append(_wait_after_hang_up(server, leaver, waiter, watcher))
        print(
            f"a client hangs up in mid-drawing: the next job's first step, which takes {1000 * STEP_SECONDS:.0f} ms,",
            end=" ",
        )
        print(f"is done after {1000 * statistics.median(waits):.0f} ms (median), {1000 * max(waits):.0f} ms (longest)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--hang-ups", type=int, default=20)
    arguments = parser.parse_args()
    added_time(arguments.requests)
    many_clients(arguments.rounds)
    hang_ups(arguments.hang_ups)


if __name__ == "__main__":
    main()
