"""Processes die; pictures, credits and answers do not get lost."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import requests
from acceptance.server import LONG, MODEL_ID, UNCHECKED, Server, eventually, serving


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_drawing_process_dies_in_mid_job_and_the_answer_arrives(
    server: Server, signal_number: signal.Signals
) -> None:
    server.wait_until_ready()
    balance = server.balance()
    job_id = server.begin_long_job()
    (child,) = server.engine_processes()
    os.kill(child, signal_number)
    assert server.get("/healthz").status_code == 200
    assert server.job(job_id)["status"] == "generating"
    job = server.finished(job_id)
    assert job["status"] == "completed"
    assert server.engine_processes() != [child]
    assert len(job["data"]) == 2
    assert server.balance() == balance - 2 * 210_000
    # The retry began from scratch, with the same noise.
    (first,) = server.pictures(seed=7, **LONG | {"num_images": 1})
    assert server.fetch(job["data"][0]["url"]) == first


def test_a_killed_server_leaves_no_process_and_no_wrong_balance(tmp_path: Path) -> None:
    with serving(tmp_path / "data", DANQING_LEASE_SECONDS="1", **UNCHECKED) as first:
        first.wait_until_ready()
        balance = first.balance()
        job_id = first.begin_long_job()
        (child,) = first.engine_processes()
        first.stop(signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{child}").exists())
    with serving(tmp_path / "data", DANQING_LEASE_SECONDS="1", **UNCHECKED) as second:
        assert not second.key, "a key is shown at the first start only"
        assert "danqing keys create" in second.printed
        second.key = first.key
        job = second.finished(job_id)
        charged = 2 * 210_000 if job["status"] == "completed" else 0
        assert second.balance() == balance - charged
        check = second.run("credits", "check")
        assert check.returncode == 0, check.stdout


def test_a_broken_checkpoint_leaves_a_server_that_says_what_is_wrong(tmp_path: Path, tiny_checkpoint: Path) -> None:
    checkpoint = Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))
    (checkpoint / "model.safetensors").write_bytes(b"nonsense")
    with serving(tmp_path / "data", DANQING_MODEL=str(checkpoint), **UNCHECKED) as server:
        balance = server.balance()
        eventually(lambda: "model.safetensors" in server.get("/readyz").text)
        assert server.get("/readyz").status_code == 503
        assert server.get("/healthz").status_code == 200
        response = server.post()
        assert response.status_code == 503
        # No retry helps until an operator mends the checkpoint.
        assert response.headers["x-should-retry"] == "false"
        assert "Retry-After" not in response.headers
        assert server.balance() == balance
        assert not server.engine_processes()


def test_a_client_that_hangs_up_frees_the_engine(server: Server) -> None:
    server.wait_until_ready()
    balance = server.balance()
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{server.url}/v1/images/generations",
            json={"model": MODEL_ID, "prompt": "x", "num_images": 4, "num_inference_steps": 50},
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=0.5,
        )
    # The metrics may be a second old, from before the request: its hold is what tells.
    eventually(lambda: server.balance() == balance)
    eventually(lambda: "danqing_jobs_running 0.0" in server.get("/metrics").text)
    assert server.balance() == balance
