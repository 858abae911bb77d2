"""Presence: how a replica learns that the process it draws for is gone.

Ray Serve cancels a request when its caller says so, and draws on for a caller that was killed. So every process that
uses the replicas owns an actor that does nothing and needs no processor. Ray ends it with its owner, however that ends,
and restarts it where only the actor's node is lost.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import ray

Result = TypeVar("Result")


class CallerGone(Exception):
    """The process that asked for this work does not exist any more."""


def new_presence() -> Any:
    """Start this process's actor; returns at once."""

    class Presence:
        async def stay(self) -> None:
            await asyncio.Event().wait()

    # Defined in here, it travels by value: the actor may run on a head node without this package.
    return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Presence).remote()


class Watch:
    """Ends work when the owner of a presence is gone."""

    def __init__(self, gone: "asyncio.Future[None]") -> None:
        self._gone = gone

    async def over(self, work: Awaitable[Result]) -> Result:
        """Return the result of `work`. Raises CallerGone, once the work has ended, if the owner is gone first."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise CallerGone
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))


@contextlib.contextmanager
def watching(presence: Any) -> Iterator[Watch]:
    """Watch the owner of a presence from a replica."""
    staying = presence.stay.remote()
    gone = asyncio.wrap_future(staying.future())
    # Its error says nothing more, and would be logged as one that nobody looked at.
    gone.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    try:
        yield Watch(gone)
    finally:
        if not gone.done():
            ray.cancel(staying)
