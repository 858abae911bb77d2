"""Long work as a generator that pauses between pieces, so that other work can run there; dropping it cancels."""

from collections.abc import Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


def finish(work: Generator[Any, None, Result]) -> Result:
    """Run the work to its end without pausing; returns its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
