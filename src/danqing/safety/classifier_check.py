"""Judges pictures with a classifier in a child process. Never imports torch, and never passes a picture unseen:
what cannot be judged is an error, and nobody pays for it.
"""

import asyncio
import json
import logging
import struct
import sys
from contextlib import suppress
from typing import Any

from danqing.errors import Overloaded, ServiceError
from danqing.safety.verdict import ImageVerdict, Picture

logger = logging.getLogger(__name__)

LOAD_TIMEOUT_SECONDS = 300
CHECK_TIMEOUT_SECONDS = 60
RETRY_AFTER_SECONDS = 10
NUM_ATTEMPTS = 2

_HEADER = struct.Struct(">II")


class ClassifierFailed(ServiceError):
    """The picture could not be checked, so it is not delivered."""


class ClassifierImageCheck:
    """Flags what the classifier gives at least the threshold; one picture at a time, in a process kept alive."""

    def __init__(self, source: str, *, threshold: float) -> None:
        """`source` is a folder or a hub id; nothing is loaded before `start` or the first check."""
        self._source = source
        self._threshold = threshold
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Load the classifier. Raises Overloaded when it cannot be used."""
        async with self._turn:
            await self._ready_process()

    async def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def check(self, raster: Picture) -> ImageVerdict:
        """Say whether the picture must be blacked out. Raises ClassifierFailed, Overloaded."""
        async with self._turn:
            for _ in range(NUM_ATTEMPTS):
                process = await self._ready_process()
                try:
                    async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                        score = await _score(process, raster)
                except (OSError, EOFError, TimeoutError, ValueError) as error:
                    logger.warning("the picture classifier failed: %s", error or type(error).__name__)
                    await self.stop()
                except asyncio.CancelledError:
                    # Its answer would be taken for the next picture's.
                    await self.stop()
                    raise
                else:
                    return ImageVerdict(flagged=score >= self._threshold, checker=self._source)
        raise ClassifierFailed

    async def _ready_process(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-P", "-m", "danqing.safety.classifier_worker", self._source)
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                greeting = await _read_line(self._process)
        except (EOFError, TimeoutError, ValueError) as error:
            greeting = {"error": str(error) or type(error).__name__}
        except asyncio.CancelledError:
            await self.stop()
            raise
        if "error" in greeting:
            await self.stop()
            logger.error("the picture classifier %s cannot be loaded: %s", self._source, greeting["error"])
            raise Overloaded("The picture classifier cannot be loaded.", retry_after_seconds=RETRY_AFTER_SECONDS)
        return self._process


async def _score(process: asyncio.subprocess.Process, raster: Picture) -> float:
    assert process.stdin is not None
    process.stdin.write(_HEADER.pack(raster.width_px, raster.height_px))
    process.stdin.write(raster.rgb)
    await process.stdin.drain()
    return float((await _read_line(process))["score"])


async def _read_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError("the process ended")
    answer = json.loads(line)
    assert isinstance(answer, dict)
    return answer
