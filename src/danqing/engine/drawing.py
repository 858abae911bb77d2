"""What the server still has to read of one drawing. Never makes the drawing process wait for a slow reader."""

import asyncio
from collections import deque
from collections.abc import Callable

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import Ended, Outcome

# A reader this far behind loses the oldest steps and previews; pictures are never dropped.
MAX_PENDING_STEPS = 16


class ChildDied(Exception):
    """The drawing process ended before the drawing did; the message says how."""


class Drawing:
    """An async iterator over the events of one drawing, read once."""

    def __init__(self, draw_id: int, *, on_end: Callable[[], None] | None = None) -> None:
        """`on_end` is called once, as soon as the drawing process is done with it."""
        self.draw_id = draw_id
        self._on_end = on_end
        self._events: deque[Progress | ImageResult] = deque()
        self._num_steps_pending = 0
        self._end: Ended | ChildDied | None = None
        self._news = asyncio.Event()

    def put(self, event: Progress | ImageResult) -> None:
        """Keep an event for the reader."""
        self._events.append(event)
        if isinstance(event, Progress):
            self._num_steps_pending += 1
            if self._num_steps_pending > MAX_PENDING_STEPS:
                self._drop_oldest_step()
        self._news.set()

    def end(self, how: Ended | ChildDied) -> None:
        """Say that nothing more will come."""
        self._end = how
        self._news.set()
        if self._on_end is not None:
            self._on_end()

    def __aiter__(self) -> "Drawing":
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
    def outcome(self) -> Outcome | None:
        """How the drawing ended; None while it goes on or when its process died."""
        return self._end.outcome if isinstance(self._end, Ended) else None

    @property
    def reason(self) -> str:
        """Why it was rejected or failed."""
        return self._end.reason if isinstance(self._end, Ended) else ""

    @property
    def caption(self) -> str:
        """What was written instead of drawn."""
        return self._end.caption if isinstance(self._end, Ended) else ""

    def _drop_oldest_step(self) -> None:
        for index, event in enumerate(self._events):
            if isinstance(event, Progress):
                del self._events[index]
                self._num_steps_pending -= 1
                return
