"""SIGTERM lets what runs finish, then everything is gone."""

import json
import signal
import sys
import threading
from pathlib import Path

import pytest
import requests
from acceptance.server import LONG, UNCHECKED, eventually, serving

LAUNCHER = Path(__file__).with_name("serve_scripted.py")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_answered_before_the_server_ends(tmp_path: Path, signal_number: signal.Signals) -> None:
    with serving(tmp_path / "data", DANQING_DRAIN_SECONDS="120", **UNCHECKED) as server:
        server.wait_until_ready()
        (child,) = server.engine_processes()
        answers: list[requests.Response] = []
        client = threading.Thread(target=lambda: answers.append(server.post(**LONG)))
        client.start()
        metrics = f"{server.url}/metrics"
        eventually(lambda: "danqing_jobs_running 1.0" in requests.get(metrics, timeout=10).text)
        server.process.send_signal(signal_number)
        client.join(240)
        assert server.wait() == 0
    (answer,) = answers
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 2
    assert not Path(f"/proc/{child}").exists()


def test_a_request_that_does_not_finish_in_time_is_told_so_and_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    command = (sys.executable, LAUNCHER, "child")
    environment = {"DANQING_MODEL": str(tmp_path / "model"), "DANQING_DRAIN_SECONDS": "3"} | UNCHECKED
    with serving(tmp_path / "data", command=command, **environment) as server:
        server.wait_until_ready()
        answers: list[requests.Response] = []
        # Four seconds in the engine: more than the drain allows, less than twice that.
        slow = {"prompt": "slow", "size": "64x64", "num_inference_steps": 50, "num_images": 4}
        client = threading.Thread(target=lambda: answers.append(server.post(**slow)))
        client.start()
        metrics = f"{server.url}/metrics"
        eventually(lambda: "danqing_jobs_running 1.0" in requests.get(metrics, timeout=10).text)
        server.process.send_signal(signal.SIGTERM)
        client.join(60)
        assert server.wait() == 0
        balance = json.loads(server.run("credits", "balance", "--json").stdout)
        check = server.run("credits", "check")
    (answer,) = answers
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert "shutting down" in answer.json()["message"]
    assert (balance["available_credits"], balance["held_credits"]) == (100_000_000, 0)
    assert check.returncode == 0, check.stdout


def test_a_second_signal_ends_the_server_at_once_with_a_response_and_no_traceback(tmp_path: Path) -> None:
    with serving(tmp_path / "data", DANQING_DRAIN_SECONDS="120", **UNCHECKED) as server:
        server.wait_until_ready()
        responses: list[requests.Response] = []
        client = threading.Thread(target=lambda: responses.append(server.post(**LONG)))
        client.start()
        metrics = f"{server.url}/metrics"
        eventually(lambda: "danqing_jobs_running 1.0" in requests.get(metrics, timeout=10).text)
        server.process.send_signal(signal.SIGINT)
        eventually(lambda: "Shutting down" in server.log_file.read_text())
        server.process.send_signal(signal.SIGINT)
        client.join(60)
        server.wait()
    (response,) = responses
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "Traceback" not in server.log_file.read_text()


def test_a_job_that_nobody_waits_for_is_finished_or_handed_back_by_the_drain(tmp_path: Path) -> None:
    with serving(tmp_path / "data", **UNCHECKED) as server:
        server.wait_until_ready()
        job_id = server.begin_long_job()
        assert server.stop() == 0
    with serving(tmp_path / "data", **UNCHECKED) as again:
        again.key = server.key
        job = again.finished(job_id)
        assert job["status"] == "completed"
        assert len(again.fetch(job["data"][0]["url"].replace(server.url, again.url))) > 1000
        check = again.run("credits", "check")
        assert check.returncode == 0, check.stdout
