"""A real server process, as a newcomer starts it, and a client that speaks HTTP to it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from danqing.engines import BUNDLED_CHECKPOINT

CHECKPOINT = BUNDLED_CHECKPOINT
MODEL_ID = "hunyuan/hunyuan-image-v3-text-to-image"
DANQING = Path(sys.executable).with_name("danqing")

# Many steps of small pictures: encoding large ones would take most of the time.
LONG: dict[str, Any] = {"num_inference_steps": 30, "size": "256x256", "num_images": 2}
# Loading the classifier costs a server of its own more than the rest of many a test.
UNCHECKED = {"DANQING_IMAGE_CHECK": "none"}

START_SECONDS = 60
READY_SECONDS = 120
ANSWER_SECONDS = 240
EXIT_SECONDS = 60


def eventually(condition: Callable[[], Any], *, limit_seconds: float = READY_SECONDS) -> Any:
    """Wait until the condition holds; return what it gave."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise TimeoutError(f"not within {limit_seconds} seconds: {condition}")


class Server:
    """A running `danqing serve`. What it prints is in `printed`; `key` is what its first start showed."""

    def __init__(
        self, data_dir: Path, *, environment: dict[str, str], command: Sequence[str | Path] = (DANQING,)
    ) -> None:
        self._environment = os.environ | {"DANQING_MODEL": str(CHECKPOINT), "DANQING_DATA_DIR": str(data_dir)}
        self._environment |= environment
        self.log_file = data_dir.with_suffix(".log")
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "serve", "--port", "0"], env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.printed = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = eventually(lambda: self._find(r"http://127\.0\.0\.1:\d+"), limit_seconds=START_SECONDS)
        eventually(lambda: "╯" in self.printed, limit_seconds=START_SECONDS)
        self.key = self._find(r"\b[0-9a-f]{32}\b")
        self.session = requests.Session()
        eventually(self._alive, limit_seconds=START_SECONDS)

    def wait_until_ready(self) -> None:
        """Return once the engine can draw."""
        eventually(lambda: self.get("/readyz").status_code == 200)

    def get(self, path: str) -> requests.Response:
        """GET with the key, if there is one."""
        return self.session.get(self.url + path, headers=self._headers(), timeout=ANSWER_SECONDS)

    def post(self, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
        """POST a generation request."""
        body = {"model": MODEL_ID, "prompt": "A brown dog on a beach."} | body
        url = f"{self.url}/v1/images/generations"
        return self.session.post(url, json=body, headers=self._headers() | (headers or {}), timeout=ANSWER_SECONDS)

    def pictures(self, **body: Any) -> list[bytes]:
        """Draw, and fetch the files behind the links."""
        response = self.post(**body)
        assert response.status_code == 200, response.text
        return [self.fetch(image["url"]) for image in response.json()["data"]]

    def fetch(self, url: str) -> bytes:
        """Fetch a picture, without a key."""
        response = requests.get(url, timeout=ANSWER_SECONDS)
        assert response.status_code == 200, response.text
        return response.content

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `danqing` command on the same data folder."""
        command = [DANQING, *arguments]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )

    def balance(self) -> int:
        """The credits that the account can spend."""
        credits: int = self.get("/v1/billing/balance").json()["balance"]
        return credits

    def engine_processes(self) -> list[int]:
        """The ids of the server's child processes that draw; the image check has one of its own."""
        children = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = status.read_text().rpartition(")")[2].split()[:2]
                command = status.with_name("cmdline").read_bytes()
            except OSError:
                continue
            if int(parent) == self.process.pid and state != "Z" and b"danqing.engine.worker" in command:
                children.append(int(status.parent.name))
        return children

    def begin_long_job(self, **body: Any) -> str:
        """Start a job that takes a while, LONG or another, wait for its first step, and return its id."""
        response = self.post(headers={"Prefer": "respond-async"}, seed=7, **body or LONG)
        assert response.status_code == 202, response.text
        job_id: str = response.json()["id"]
        next(self.events(job_id))
        return job_id

    def events(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Follow a job."""
        url = f"{self.url}/v1/images/generations/{job_id}/events"
        with requests.get(url, headers=self._headers(), stream=True, timeout=ANSWER_SECONDS) as response:
            for line in response.iter_lines():
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def job(self, job_id: str) -> dict[str, Any]:
        """Ask how a job stands."""
        answer: dict[str, Any] = self.get(f"/v1/images/generations/{job_id}").json()
        return answer

    def finished(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in ("completed", "error") else None

        answer: dict[str, Any] = eventually(look, limit_seconds=ANSWER_SECONDS)
        return answer

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End the server and return its exit status."""
        self.process.send_signal(signal_number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the server; return its exit status."""
        status = self.process.wait(EXIT_SECONDS)
        self._reader.join(EXIT_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.session.close()
        return status

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def _alive(self) -> bool:
        assert self.process.poll() is None, self.log_file.read_text()
        try:
            return self.get("/healthz").status_code == 200
        except requests.ConnectionError:
            return False

    def _find(self, pattern: str) -> str:
        found = re.search(pattern, self.printed)
        return found.group() if found else ""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line


@contextmanager
def serving(data_dir: Path, *, command: Sequence[str | Path] = (DANQING,), **environment: str) -> Iterator[Server]:
    """Start a server on a data folder and end it afterwards, whatever happened."""
    server = Server(data_dir, environment=environment, command=command)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
