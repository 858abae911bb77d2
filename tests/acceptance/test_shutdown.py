"""SIGTERM lets what runs finish, then everything is gone."""

import signal
import threading
from pathlib import Path

import pytest
import requests
from acceptance.server import LONG, eventually, serving


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_answered_before_the_server_ends(tmp_path: Path, signal_number: signal.Signals) -> None:
    with serving(tmp_path / "data", DANQING_DRAIN_SECONDS="120") as server:
        server.wait_until_ready()
        (child,) = server.drawing_processes()
        answers: list[requests.Response] = []
        client = threading.Thread(target=lambda: answers.append(server.post(num_images=4, **LONG)))
        client.start()
        metrics = f"{server.url}/metrics"
        eventually(lambda: "danqing_jobs_running 1.0" in requests.get(metrics, timeout=10).text)
        server.process.send_signal(signal_number)
        client.join(240)
        assert server.wait() == 0
    (answer,) = answers
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 4
    assert not Path(f"/proc/{child}").exists()


def test_a_job_that_nobody_waits_for_is_finished_or_handed_back_by_the_drain(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        server.wait_until_ready()
        job_id = server.begin_long_job()
        assert server.stop() == 0
    with serving(tmp_path / "data") as again:
        again.key = server.key
        job = again.finished(job_id)
        assert job["status"] == "completed"
        assert len(again.fetch(job["data"][0]["url"].replace(server.url, again.url))) > 1000
        check = again.run("credits", "check")
        assert check.returncode == 0, check.stdout
