"""The image check by a classifier in a child process. An image that cannot be scored is an error, never a pass."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from danqing.child_process import ProtocolError, child_command, start_child
from danqing.errors import Overloaded, ServiceError
from danqing.pictures.raster import Raster
from danqing.safety.classifier_messages import COMMANDS, REPORTS, LoadFailed, Ready, Report, Score, Scored
from danqing.safety.verdict import ImageVerdict

logger = logging.getLogger(__name__)

LOAD_TIMEOUT_SECONDS = 300
CHECK_TIMEOUT_SECONDS = 60
RETRY_AFTER_SECONDS = 10
NUM_ATTEMPTS = 2


class ClassifierFailed(ServiceError):
    """The picture could not be checked, so it is not delivered."""


class ChildGone(Exception):
    """The classifier's process ended."""


class ClassifierImageCheck:
    """Flags every image that scores at least the threshold; one image at a time, in a process kept alive."""

    def __init__(self, source: str, *, threshold: float) -> None:
        """`source` is OPENNSFW, a folder or a hub id; nothing is loaded before `start` or the first check."""
        self._source = source
        # Of a folder, its name: callers see it, and need not learn where it is.
        self._name = Path(source).name if Path(source).is_dir() else source
        self._threshold = threshold
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The id of the process, while there is one."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Load the classifier. Raises Overloaded when it cannot be used."""
        async with self._lock:
            await self._ready_process()

    async def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def check(self, raster: Raster) -> ImageVerdict:
        """Return whether the image must be blacked out. Raises ClassifierFailed, Overloaded."""
        async with self._lock:
            for _ in range(NUM_ATTEMPTS):
                process = await self._ready_process()
                try:
                    async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                        score = await _score(process, raster)
                except (OSError, ChildGone, TimeoutError, ProtocolError) as error:
                    logger.warning("the image classifier failed: %s", error or type(error).__name__)
                    await self.stop()
                except asyncio.CancelledError:
                    # Its score would be taken for the next image's.
                    await self.stop()
                    raise
                else:
                    return ImageVerdict(flagged=score >= self._threshold, checker=self._name, score=round(score, 4))
        raise ClassifierFailed

    async def _ready_process(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = await start_child(child_command("danqing.safety.classifier_worker", self._source))
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                report = await _report(self._process)
        except (ChildGone, TimeoutError, ProtocolError) as error:
            report = LoadFailed(reason=str(error) or type(error).__name__)
        except asyncio.CancelledError:
            await self.stop()
            raise
        if isinstance(report, Ready):
            return self._process
        await self.stop()
        reason = report.reason if isinstance(report, LoadFailed) else f"unexpected {type(report).__name__}"
        logger.error("the image classifier %s cannot be loaded: %s", self._source, reason)
        raise Overloaded("The picture classifier cannot be loaded.", retry_after_seconds=RETRY_AFTER_SECONDS)


async def _score(process: asyncio.subprocess.Process, raster: Raster) -> float:
    assert process.stdin is not None
    process.stdin.write(COMMANDS.encode(Score(raster=raster)))
    await process.stdin.drain()
    report = await _report(process)
    if not isinstance(report, Scored):
        raise ProtocolError(f"unexpected {type(report).__name__}")
    return report.score


async def _report(process: asyncio.subprocess.Process) -> Report:
    assert process.stdout is not None
    report = await REPORTS.receive(process.stdout)
    if report is None:
        raise ChildGone("the process ended")
    return report
