"""The README's way from nothing to a picture, timed: `python proofs/newcomer.py`.

Clones the last commit into an empty folder, runs `make serve` there, waits until it says that it can draw, pastes the
command that it printed and fetches the picture behind the link. Prints everything with the seconds that had passed.
Only the port and the data folder differ from the README, so that a server of one's own may run meanwhile.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CURL_LINES = 4
STOP_SECONDS = 60
PICTURE = "picture.png"


class Transcript:
    """What is typed and what is answered, each line with the seconds since the beginning."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it took so far."""
        return time.monotonic() - self._begun

    def tell(self, line: str) -> None:
        """Print a line."""
        print(f"[{self.seconds:7.1f} s] {line}", flush=True)

    def run(self, command: str, *, folder: Path) -> str:
        """Type a command, wait for its end and return its output. Raises CalledProcessError."""
        for line in f"$ {command}".splitlines():
            self.tell(line)
        result = subprocess.run(["sh", "-c", command], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        for line in result.stdout.splitlines():
            self.tell(line)
        return result.stdout

    def follow(self, server: subprocess.Popen[str], *, until: str) -> str:
        """Show what a server prints, up to and with the line that begins so; return it all."""
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            self.tell(line.rstrip("\n"))
            said += line
            if line.startswith(until):
                return said
        raise SystemExit(f"`make serve` ended with {server.wait()} before it said: {until}")


def printed_curl(said: str) -> str:
    """The command to paste, as the first start prints it."""
    lines = said.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("curl "))
    return "\n".join(lines[start : start + CURL_LINES])


def from_clone_to_picture(folder: Path) -> dict[str, float]:
    """Walk the whole way in an empty folder; return the second at which each milestone was reached."""
    transcript, reached = Transcript(), {}
    transcript.run(f"git clone --quiet file://{ROOT} danqing", folder=folder)
    clone = folder / "danqing"
    reached["cloned"] = transcript.seconds
    transcript.tell("$ cd danqing && make serve")
    environment = os.environ | {"DANQING_DATA_DIR": str(folder / "data"), "DANQING_PORT": "0"}
    # A session of its own: stopping `make` alone would leave the server behind.
    server = subprocess.Popen(
        ["make", "serve"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said = transcript.follow(server, until="  -d ")
        reached["installed, key and command printed"] = transcript.seconds
        transcript.follow(server, until="Ready")
        reached["ready to draw"] = transcript.seconds
        answer = transcript.run(printed_curl(said), folder=folder)
        reached["answered"] = transcript.seconds
        transcript.run(f"curl --silent --output {PICTURE} {json.loads(answer)['data'][0]['url']}", folder=folder)
        transcript.run(f"ls -l {PICTURE}", folder=folder)
        reached["picture on disk"] = transcript.seconds
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(STOP_SECONDS)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="an empty folder to do it in and to keep; otherwise a temporary one")
    arguments = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    print(f"commit {commit.strip()[:10]}, {platform.machine()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"--keep: {folder} is not empty")
        for milestone, seconds in from_clone_to_picture(folder).items():
            print(f"{seconds:8.1f} s  {milestone}")


if __name__ == "__main__":
    main()
