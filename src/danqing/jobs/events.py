"""Events of running jobs, published to their listeners. They live in memory; the database keeps the outcome.

For one event loop; not for several threads.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import replace

from danqing.errors import RateLimitExceeded, ServiceError
from danqing.jobs.job import Finished, ImageDone, JobEvent, StepDone

MAX_LISTENERS = 32
# A listener this far behind loses the oldest steps. Images and the end are never lost, and there are few of them.
MAX_BUFFERED_EVENTS = 64


class JobChannel:
    """The events of one job. A late listener first gets the latest step of each image and every finished image."""

    def __init__(self, *, account_id: str) -> None:
        self.account_id = account_id
        self._latest_steps: dict[int, StepDone] = {}
        self._images: dict[int, ImageDone] = {}
        self._finished: Finished | None = None
        self._closed = False
        self._error: ServiceError | None = None
        self._listeners: set[_Listener] = set()

    def publish(self, event: JobEvent) -> None:
        """Tell every listener; Finished closes the channel."""
        if self._closed:
            return  # A run that is being stopped may still finish an image.
        match event:
            case StepDone():
                self._latest_steps[event.image_index] = self._with_last_preview(event)
            case ImageDone():
                self._images[event.image.image_index] = event
            case Finished():
                self._finished = event
                self._closed = True
        for listener in self._listeners:
            listener.add(event)

    def abandon(self, error: ServiceError | None = None) -> None:
        """End the channel without an outcome: listeners find it in the database, or get the error."""
        self._closed = True
        self._error = error
        for listener in self._listeners:
            listener.wake()

    async def follow(self) -> AsyncGenerator[JobEvent, None]:
        """Yield events up to Finished, or up to where the channel was abandoned.

        Raises RateLimitExceeded, and the error that the channel was abandoned with.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise RateLimitExceeded(f"At most {MAX_LISTENERS} listeners may follow a job.", retry_after_seconds=1)
        listener = _Listener([*self._latest_steps.values(), *self._images.values()])
        if self._finished is not None:
            listener.add(self._finished)
        self._listeners.add(listener)
        try:
            while True:
                while listener.events:
                    yield listener.events.popleft()
                if self._error is not None:
                    raise self._error
                if self._closed:
                    return
                await listener.wait()
        finally:
            self._listeners.discard(listener)

    def _with_last_preview(self, event: StepDone) -> StepDone:
        before = self._latest_steps.get(event.image_index)
        if event.preview_png is None and before is not None:
            return replace(event, preview_png=before.preview_png)
        return event


class _Listener:
    """One reader's bounded buffer."""

    def __init__(self, events: list[JobEvent]) -> None:
        self.events = deque(events)
        self._something = asyncio.Event()

    def add(self, event: JobEvent) -> None:
        if len(self.events) >= MAX_BUFFERED_EVENTS:
            self._drop_oldest_step()
        self.events.append(event)
        self.wake()

    def wake(self) -> None:
        self._something.set()

    async def wait(self) -> None:
        await self._something.wait()
        self._something.clear()

    def _drop_oldest_step(self) -> None:
        for event in self.events:
            if isinstance(event, StepDone):
                self.events.remove(event)
                return
