"""The pace of a server that reports no progress: its steps are estimated from the time of earlier images."""

import time
from collections.abc import Callable

# Before the first image.
FIRST_STEP_SECONDS = 0.5
# How much the latest image counts in the average.
IMAGE_WEIGHT = 0.3


class Pace:
    """The average time of a step."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._step_seconds: float | None = None

    def begin(self, num_steps: int) -> "Estimate":
        """Begin to time an image."""
        return Estimate(self, num_steps=num_steps, monotonic=self._monotonic)

    @property
    def step_seconds(self) -> float:
        """The average so far."""
        return FIRST_STEP_SECONDS if self._step_seconds is None else self._step_seconds

    def image_took(self, seconds: float, *, num_steps: int) -> None:
        """Count a finished image."""
        latest = seconds / num_steps
        before = latest if self._step_seconds is None else self._step_seconds
        self._step_seconds = before + IMAGE_WEIGHT * (latest - before)


class Estimate:
    """Where one image probably is. Steps only grow, and the last one is left to the image itself."""

    def __init__(self, pace: Pace, *, num_steps: int, monotonic: Callable[[], float]) -> None:
        self._pace = pace
        self._num_steps = num_steps
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._told = 0

    def next_step(self, *, due: bool = False) -> int | None:
        """Return the step to report; None when there is no news. `due` asks for one in any case."""
        seconds = self._monotonic() - self._began_at
        step = min(self._num_steps - 1, int(seconds / max(self._pace.step_seconds, 1e-6)))
        if step <= self._told and not due:
            return None
        self._told = max(step, self._told, 1)
        return self._told

    def finished(self) -> None:
        """Count the time of the image."""
        self._pace.image_took(self._monotonic() - self._began_at, num_steps=self._num_steps)
