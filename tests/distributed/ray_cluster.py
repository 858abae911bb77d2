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
from typing import Any

from acceptance.server import DANQING, Server, eventually, serving

START_SECONDS = 240
RAY = Path(sys.executable).with_name("ray")
ENVIRONMENT = {
    # Otherwise Ray writes a token into the home folder.
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Otherwise Ray starts replicas with a niceness of 15, and whatever else runs here starves them.
    "RAY_worker_niceness": "0",
    "OMP_NUM_THREADS": "1",
}


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

    def busiest(self) -> int:
        """The process that draws most from now on."""
        before = {process: ticks(process) for process in self.engine_processes()}
        eventually(lambda: max(ticks(process) - then for process, then in before.items()) > 20)
        return max(before, key=lambda process: ticks(process) - before[process])


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
        **ENVIRONMENT,
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
def cluster_of_nodes(checkpoint: Path, *, num_nodes: int) -> Iterator[tuple[Cluster, Any]]:
    """Start a head that draws nothing and nodes with a CPU each; give Ray's utility too, which removes nodes."""
    with tempfile.TemporaryDirectory(prefix="danqing-ray-", ignore_cleanup_errors=True) as folder:
        environment = {**ENVIRONMENT, "DANQING_MODEL": str(checkpoint)}
        # Nodes inherit them from here.
        os.environ |= environment
        import ray.cluster_utils

        head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder}
        nodes = ray.cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(num_nodes):
                nodes.add_node(num_cpus=1)
            yield Cluster(nodes.address, checkpoint, {**environment, "DANQING_RAY_ADDRESS": nodes.address}), nodes
        finally:
            ray.shutdown()
            nodes.shutdown()


@contextmanager
def serving_on(cluster: Cluster, data_dir: Path, **environment: str) -> Iterator[Server]:
    """Start a server that draws on the cluster."""
    settings = {"DANQING_ENGINE": "ray", "DANQING_IMAGE_CHECK": "none"}
    with serving(data_dir, **cluster.environment | settings | environment) as server:
        server.wait_until_ready()
        yield server
