"""The events of one task that the server has yet to read. The engine process never waits for a slow reader."""

import asyncio
from collections import deque
from collections.abc import Callable

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import TaskEnded

# A reader this far behind loses the oldest steps and previews; images are never dropped.
MAX_PENDING_STEPS = 16


class ChildDied(Exception):
    """The engine process ended before the task did; the message says how."""


class TaskEvents:
    """An async iterator over the events of one task, read once."""

    def __init__(self, task_id: int, *, on_end: Callable[[], None] | None = None) -> None:
        """`on_end` is called once, as soon as the engine process is done with the task."""
        self.task_id = task_id
        self._on_end = on_end
        self._events: deque[Progress | ImageResult] = deque()
        self._num_steps_pending = 0
        self._end: TaskEnded | ChildDied | None = None
        self._news = asyncio.Event()

    def put(self, event: Progress | ImageResult) -> None:
        """Keep an event for the reader."""
        self._events.append(event)
        if isinstance(event, Progress):
            self._num_steps_pending += 1
            if self._num_steps_pending > MAX_PENDING_STEPS:
                self._drop_oldest_step()
        self._news.set()

    def end(self, end: TaskEnded | ChildDied) -> None:
        """Close the stream: no event follows."""
        self._end = end
        self._news.set()
        if self._on_end is not None:
            self._on_end()

    def __aiter__(self) -> "TaskEvents":
        """Iterate over the events."""
        return self

    async def __anext__(self) -> Progress | ImageResult:
        """Return the next event. Raises ChildDied, after everything that came before the death."""
        while not self._events:
            if isinstance(self._end, ChildDied):
                raise self._end
            if self._end is not None:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        event = self._events.popleft()
        if isinstance(event, Progress):
            self._num_steps_pending -= 1
        return event

    @property
    def ended(self) -> TaskEnded | None:
        """The end of the task; None while it goes on or when its process died."""
        return self._end if isinstance(self._end, TaskEnded) else None

    def _drop_oldest_step(self) -> None:
        for index, event in enumerate(self._events):
            if isinstance(event, Progress):
                del self._events[index]
                self._num_steps_pending -= 1
                return
