"""Several API processes on one port: `danqing serve --workers 2` before a server that draws."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from acceptance.server import DANQING, UNCHECKED, Server, eventually, serving

LAUNCHER = Path(__file__).with_name("serve_scripted.py")
# A second and more in the scripted engine.
SLOW = {"prompt": "slow", "size": "64x64", "num_inference_steps": 50}
# Twenty seconds.
ENDLESS = {"prompt": "slow to read", "size": "64x64"}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that draws."""
    folder = tmp_path_factory.mktemp("behind")
    (folder / "model").mkdir()
    settings = {"DANQING_MODEL": str(folder / "model"), **UNCHECKED}
    with serving(folder / "data", command=(sys.executable, LAUNCHER, "child"), **settings) as behind:
        behind.wait_until_ready()
        yield behind


@contextmanager
def two_workers(behind: Server, data_dir: Path) -> Iterator[Server]:
    settings = {"DANQING_ENGINE": "upstream", "DANQING_UPSTREAM_URL": behind.url, **UNCHECKED}
    settings |= {"DANQING_UPSTREAM_API_KEY": behind.key, "DANQING_WORKERS": "2"}
    with serving(data_dir, **settings) as server:
        for port in own_ports(server):
            eventually(lambda port=port: at_own_port(port, "/readyz") == 200)
        yield server


def own_ports(server: Server) -> list[int]:
    found = re.search(r"2, also each at port (\d+), (\d+)", server.printed)
    assert found, server.printed
    return [int(port) for port in found.groups()]


def at_own_port(port: int, path: str) -> int:
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code
    except requests.ConnectionError:
        return 0


def api_processes(server: Server) -> set[int]:
    """The ids of the processes that the server supervises."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return {child for child, command in commands.items() if b"danqing.cli.api_process" in command}


def running_jobs(server: Server) -> float:
    """The jobs in the engine, at each process's own port together."""
    texts = [requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text for port in own_ports(server)]
    return sum(float(found) for text in texts for found in re.findall(r"(?m)^danqing_jobs_running (\S+)", text))


def test_a_killed_process_is_replaced_while_the_other_one_serves(behind: Server, tmp_path: Path) -> None:
    with two_workers(behind, tmp_path / "data") as server:
        first, second = before = api_processes(server)
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(lambda _: draw(server), range(16)))
        assert statuses == [200] * 16
        server.session.close()
        os.kill(first, signal.SIGKILL)
        # The other process answers all the while, and both are there again.
        eventually(lambda: len(api_processes(server) - before) == 1)
        assert draw(server) == 200
        for port in own_ports(server):
            eventually(lambda port=port: at_own_port(port, "/readyz") == 200)
        assert second in api_processes(server)
        assert server.run("credits", "check").returncode == 0
        assert "was killed by signal 9" in server.log_file.read_text()


def test_a_signal_ends_every_process_and_running_requests_are_answered(behind: Server, tmp_path: Path) -> None:
    with two_workers(behind, tmp_path / "data") as server:
        processes = api_processes(server)
        responses: list[requests.Response] = []
        client = threading.Thread(target=lambda: responses.append(server.post(**SLOW)))
        client.start()
        eventually(lambda: running_jobs(server) == 1)
        server.process.send_signal(signal.SIGTERM)
        client.join(60)
        assert server.wait() == 0
    assert [response.status_code for response in responses] == [200]
    assert not [process for process in processes if Path(f"/proc/{process}").exists()]


def test_a_second_signal_ends_every_process_at_once(behind: Server, tmp_path: Path) -> None:
    with two_workers(behind, tmp_path / "data") as server:
        responses: list[requests.Response] = []
        client = threading.Thread(target=lambda: responses.append(server.post(**ENDLESS)))
        client.start()
        eventually(lambda: running_jobs(server) == 1)
        server.process.send_signal(signal.SIGINT)
        eventually(lambda: server.log_file.read_text().count("Shutting down") == 2)
        server.process.send_signal(signal.SIGINT)
        client.join(60)
        assert server.wait() == 0
    assert [response.status_code for response in responses] == [503]
    assert "Traceback" not in server.log_file.read_text()


def test_processes_end_with_a_supervisor_that_was_killed(behind: Server, tmp_path: Path) -> None:
    with two_workers(behind, tmp_path / "data") as server:
        processes = api_processes(server)
        server.stop(signal.SIGKILL)
        eventually(lambda: not [process for process in processes if Path(f"/proc/{process}").exists()])


def test_workers_with_an_engine_each_are_refused(tmp_path: Path) -> None:
    command = [DANQING, "serve", "--workers", "2"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "with DANQING_ENGINE=local each of them would load the model again" in result.stderr


def draw(server: Server) -> int:
    """One quick picture, over a connection of its own."""
    headers = {"Authorization": f"Bearer {server.key}"}
    body = {"model": "hunyuan/hunyuan-image-v3-text-to-image", "prompt": "a dog", "size": "64x64"}
    url = f"{server.url}/v1/images/generations"
    return requests.post(url, json=body | {"num_inference_steps": 1}, headers=headers, timeout=60).status_code
