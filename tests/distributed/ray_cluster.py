"""A real Ray cluster on this machine: a head node, replicas of a small checkpoint, and the ways to kill one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from acceptance.server import DANQING, Server, eventually, serving

START_SECONDS = 240
RAY = Path(sys.executable).with_name("ray")


@dataclass(frozen=True)
class Cluster:
    """A running head node. `environment` is what commands and servers need to use it."""

    address: str
    checkpoint: Path
    environment: dict[str, str]

    def deploy(self, *options: str) -> None:
        """Deploy replicas and wait until they can draw."""
        result = self.run("ray", "deploy", *options)
        assert result.returncode == 0, result.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `danqing` command."""
        environment = os.environ | self.environment
        return subprocess.run(
            [DANQING, *arguments], env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )

    def engine_processes(self) -> dict[int, int]:
        """The processes that draw, and the replica that each belongs to."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = status.read_text().rpartition(")")[2].split()[:2]
                command = status.with_name("cmdline").read_bytes()
            except OSError:
                continue
            if state != "Z" and b"danqing.engine.worker" in command and str(self.checkpoint).encode() in command:
                found[int(status.parent.name)] = int(parent)
        return found


def ticks(process_id: int) -> int:
    """Processor time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def cluster(checkpoint: Path, *, num_cpus: int) -> Iterator[Cluster]:
    """Start a head node, and end it with everything on it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A short path: a Unix socket's name has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="danqing-ray-"))
    environment = {
        # Otherwise Ray writes a token into the home folder.
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "DANQING_MODEL": str(checkpoint),
        "DANQING_RAY_ADDRESS": f"127.0.0.1:{port}",
    }
    command = [RAY, "start", "--head", "--block", f"--port={port}", f"--num-cpus={num_cpus}", f"--temp-dir={folder}"]
    command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    head = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: accepts(port), limit_seconds=START_SECONDS)
        yield Cluster(f"127.0.0.1:{port}", checkpoint, environment)
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def accepts(port: int) -> bool:
    """Tell whether somebody listens on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving_on(cluster: Cluster, data_dir: Path, **environment: str) -> Iterator[Server]:
    """Start a server that draws on the cluster."""
    settings = {"DANQING_ENGINE": "ray", "DANQING_IMAGE_CHECK": "none"}
    with serving(data_dir, **cluster.environment | settings | environment) as server:
        server.wait_until_ready()
        yield server
