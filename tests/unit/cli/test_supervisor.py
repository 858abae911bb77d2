"""The supervisor with small real processes: restarts, and the two ways to end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from danqing.cli.supervisor import ProcessStart, RestartPolicy, Supervisor

# Writes a line when it starts, and ends with its standard input.
OBEDIENT = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); sys.stdin.read()"
# Ends by nothing but SIGKILL.
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    " open(sys.argv[1], 'a').write('1\\n'); time.sleep(600)"
)
SHORT_LIVED = "import sys; open(sys.argv[1], 'a').write('1\\n'); sys.exit(3)"
QUICK = RestartPolicy(first_backoff_seconds=0.01, max_backoff_seconds=0.05)


def supervise(program: str, file: Path, *, number: int = 1, end_seconds: float = 30) -> "asyncio.Task[None]":
    file.touch()
    start = ProcessStart(command=[sys.executable, "-c", program, str(file)])
    return asyncio.create_task(Supervisor([start] * number, end_seconds=end_seconds, policy=QUICK).run())


async def lines(file: Path, number: int) -> list[str]:
    """Wait until so many processes have started."""
    async with asyncio.timeout(60):
        while len(found := file.read_text().splitlines()) < number:
            await asyncio.sleep(0.01)
    return found


async def test_a_process_that_dies_is_started_again_and_a_signal_ends_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = supervise(OBEDIENT, tmp_path / "started", number=2)
    first, _ = await lines(tmp_path / "started", 2)
    os.kill(int(first), signal.SIGKILL)
    started = await lines(tmp_path / "started", 3)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert "was killed by signal 9; the next one starts in 0.01 s" in caplog.text


async def test_the_pause_before_a_restart_grows_to_its_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = supervise(SHORT_LIVED, tmp_path / "started")
    await lines(tmp_path / "started", 5)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    pauses = [record.getMessage().rpartition(" in ")[2] for record in caplog.records][:4]
    assert pauses == ["0.01 s", "0.02 s", "0.04 s", "0.05 s"]
    assert "ended with status 3" in caplog.text


async def test_a_process_that_does_not_end_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = supervise(STUBBORN, tmp_path / "started", end_seconds=0.1)
    await lines(tmp_path / "started", 1)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    await running
    assert "did not end within 0.1 s and is killed" in caplog.text
