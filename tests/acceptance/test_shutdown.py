"""SIGTERM lets what runs finish, then everything is gone."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from acceptance.server import ANSWER_SECONDS, LONG, UNCHECKED, Server, eventually, serving

LAUNCHER = Path(__file__).with_name("serve_scripted.py")


# Two seconds in the scripted engine.
SLOW = {"prompt": "slow", "num_images": 2, "num_inference_steps": 50, "size": "64x64"}


@contextmanager
def scripted(tmp_path: Path, **environment: str) -> Iterator[Server]:
    """A ready server whose engine process needs no model."""
    (tmp_path / "model").mkdir(exist_ok=True)
    environment |= {"DANQING_MODEL": str(tmp_path / "model")}
    with serving(tmp_path / "data", command=(sys.executable, LAUNCHER, "child"), **UNCHECKED, **environment) as server:
        server.wait_until_ready()
        yield server


@contextmanager
def drawing(server: Server, **body: Any) -> Iterator[list[requests.Response]]:
    """A client whose request is in the engine; its response is in the list at the end."""
    responses: list[requests.Response] = []
    client = threading.Thread(target=lambda: responses.append(server.post(**body)))
    client.start()
    metrics = f"{server.url}/metrics"
    eventually(lambda: "danqing_jobs_running 1.0" in requests.get(metrics, timeout=10).text)
    yield responses
    client.join(ANSWER_SECONDS)


def test_a_running_request_is_answered_before_the_server_ends(tmp_path: Path) -> None:
    with serving(tmp_path / "data", DANQING_DRAIN_SECONDS="120", **UNCHECKED) as server:
        server.wait_until_ready()
        (child,) = server.engine_processes()
        with drawing(server, **LONG) as responses:
            server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    assert [(response.status_code, len(response.json()["data"])) for response in responses] == [(200, 2)]
    assert not Path(f"/proc/{child}").exists()


def test_ctrl_c_too_lets_a_running_request_end(tmp_path: Path) -> None:
    with scripted(tmp_path, DANQING_DRAIN_SECONDS="120") as server:
        with drawing(server, **SLOW) as responses:
            server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
    assert [(response.status_code, len(response.json()["data"])) for response in responses] == [(200, 2)]


def test_a_request_that_does_not_finish_in_time_is_told_so_and_costs_nothing(tmp_path: Path) -> None:
    with scripted(tmp_path, DANQING_DRAIN_SECONDS="1") as server:
        with drawing(server, **SLOW | {"num_images": 4}) as responses:
            server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        balance = json.loads(server.run("credits", "balance", "--json").stdout)
        check = server.run("credits", "check")
    (response,) = responses
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "shutting down" in response.json()["message"]
    assert (balance["available_credits"], balance["held_credits"]) == (100_000_000, 0)
    assert check.returncode == 0, check.stdout


def test_a_second_signal_ends_the_server_at_once_with_a_response_and_no_traceback(tmp_path: Path) -> None:
    with scripted(tmp_path, DANQING_DRAIN_SECONDS="120") as server:
        with drawing(server, **SLOW | {"num_images": 4}) as responses:
            server.process.send_signal(signal.SIGINT)
            eventually(lambda: "Shutting down" in server.log_file.read_text())
            server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
    (response,) = responses
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "Traceback" not in server.log_file.read_text()


def test_a_job_that_nobody_waits_for_is_finished_or_handed_back_by_the_drain(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        job_id = server.begin_long_job(**SLOW)
        assert server.stop() == 0
    with scripted(tmp_path) as again:
        again.key = server.key
        job = again.finished(job_id)
        assert job["status"] == "completed"
        assert again.fetch(job["data"][0]["url"].replace(server.url, again.url)).startswith(b"\x89PNG")
        check = again.run("credits", "check")
        assert check.returncode == 0, check.stdout
