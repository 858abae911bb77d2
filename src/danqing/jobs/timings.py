"""Timings: how long the parts of a job took, measured while it runs."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum


class JobPart(StrEnum):
    """A part of a run. To draw includes previews; check and store are sums over the images."""

    EXPAND = "expand"
    DRAW = "draw"
    CHECK = "check"
    STORE = "store"


class Stopwatch:
    """Sums the time of each part."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seconds: dict[JobPart, float] = defaultdict(float)

    @contextmanager
    def timing(self, part: JobPart) -> Iterator[None]:
        """Count the time of the block towards a part, also when the block raises."""
        began = self._monotonic()
        try:
            yield
        finally:
            self._seconds[part] += self._monotonic() - began

    @property
    def milliseconds(self) -> dict[str, int]:
        """The parts that have ended so far."""
        return {part.value: round(seconds * 1000) for part, seconds in self._seconds.items()}
