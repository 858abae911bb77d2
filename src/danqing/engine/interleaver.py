"""The interleaver: shares one painter between tasks, slice by slice, so that a short task never waits for a long one.

A slice is one denoising step of one image, one piece of a prompt to read, or a few tokens of an expansion.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import TaskEnded, TaskEvent, TaskOutcome
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest

logger = logging.getLogger(__name__)

# They take about as long as a step.
TOKENS_PER_SLICE = 8


class PromptRejected(Exception):
    """The model cannot draw or expand this prompt; the message is safe to show, and `field` names the culprit."""

    def __init__(self, message: str, *, field: str = "prompt") -> None:
        super().__init__(message)
        self.field = field


class DenoisedStep(Protocol):
    """One step of the denoise loop is done."""

    @property
    def step(self) -> int: ...
    @property
    def num_steps(self) -> int: ...
    @property
    def latent(self) -> Any: ...


class Painter(Protocol):
    """A loaded model. Only the painter knows what a prefix and a latent are."""

    @property
    def description(self) -> str: ...

    @property
    def fatal_errors(self) -> tuple[type[Exception], ...]:
        """Errors that leave the whole process unusable; any other fails one task alone."""

    def prefill(self, request: ImageRequest, *, expansion: Expansion | None) -> Generator[None, None, Any]:
        """Compute the prefix that all images of the request share, a piece at a time. Raises PromptRejected."""

    def denoise(self, prefix: Any, *, image_index: int) -> Iterator[DenoisedStep]:
        """Draw one image, a step at a time."""

    def decode(self, latent: Any, prefix: Any) -> Raster:
        """Turn the last step's latent into the image."""

    def preview(self, step: Any) -> Raster:
        """Make a small version of a running image from one of its steps."""

    def expand(self, request: ImageRequest) -> Generator[int | None, None, Expansion]:
        """Expand the request's prompt, a token at a time, with None after a piece of it. Raises PromptRejected."""


# Each `next` is one slice; the return value is the expansion, if the task makes one.
_Slices = Generator[Progress | ImageResult | None, None, Expansion | None]


class Interleaver:
    """Round robin between tasks, and within a task between its images."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        self._slices: dict[int, _Slices] = {}
        self._order: deque[int] = deque()

    @property
    def idle(self) -> bool:
        """Whether there is no task."""
        return not self._slices

    def add_images(
        self,
        task_id: int,
        *,
        request: ImageRequest,
        image_indexes: Sequence[int],
        expansion: Expansion | None = None,
    ) -> None:
        """Put a task that draws images at the end of the round."""
        self._add(task_id, _draw(self._painter, request, image_indexes, expansion))

    def add_expansion(self, task_id: int, *, request: ImageRequest) -> None:
        """Put a task that expands a prompt at the end of the round."""
        self._add(task_id, _expand(self._painter, request))

    def cancel(self, task_id: int) -> TaskEnded | None:
        """Drop a task at once; None when it is already over."""
        if self._slices.pop(task_id, None) is None:
            return None
        self._order.remove(task_id)
        return TaskEnded(task_id=task_id, outcome=TaskOutcome.CANCELLED)

    def run_slice(self) -> TaskEvent | TaskEnded | None:
        """Run the next slice; None when it has nothing to report. Raises the painter's fatal errors and no others."""
        task_id = self._order.popleft()
        try:
            event = next(self._slices[task_id])
        except self._painter.fatal_errors:
            raise
        except StopIteration as stop:
            return self._end(TaskEnded(task_id=task_id, outcome=TaskOutcome.COMPLETED, expansion=stop.value))
        except PromptRejected as error:
            outcome = TaskOutcome.REJECTED
            return self._end(TaskEnded(task_id=task_id, outcome=outcome, reason=str(error), field=error.field))
        except Exception as error:
            logger.exception("a task failed")
            reason = f"{type(error).__name__}: {error}"
            return self._end(TaskEnded(task_id=task_id, outcome=TaskOutcome.FAILED, reason=reason))
        self._order.append(task_id)
        return None if event is None else TaskEvent(task_id=task_id, event=event)

    def _add(self, task_id: int, slices: _Slices) -> None:
        self._slices[task_id] = slices
        self._order.append(task_id)

    def _end(self, ended: TaskEnded) -> TaskEnded:
        del self._slices[ended.task_id]
        return ended


def _expand(painter: Painter, request: ImageRequest) -> _Slices:
    tokens = painter.expand(request)
    while True:
        for _ in range(TOKENS_PER_SLICE):
            try:
                token = next(tokens)
            except StopIteration as end:
                expansion: Expansion = end.value
                return expansion
            if token is None:
                break
        yield None


def _draw(
    painter: Painter, request: ImageRequest, image_indexes: Sequence[int], expansion: Expansion | None
) -> _Slices:
    prefix = yield from painter.prefill(request, expansion=expansion)
    images = deque(_draw_image(painter, prefix, request, image_index) for image_index in image_indexes)
    while images:
        image = images.popleft()
        event = next(image, None)
        if event is not None:
            images.append(image)
            yield event
    return None


def _draw_image(
    painter: Painter, prefix: Any, request: ImageRequest, image_index: int
) -> Iterator[Progress | ImageResult]:
    latent = None
    for done in painter.denoise(prefix, image_index=image_index):
        latent = done.latent
        every = request.preview_every_steps
        wanted = every > 0 and done.step % every == 0 and done.step < done.num_steps
        preview = painter.preview(done) if wanted else None
        yield Progress(image_index=image_index, step=done.step, num_steps=done.num_steps, preview=preview)
    raster = painter.decode(latent, prefix)
    yield ImageResult(image_index=image_index, seed=request.image_seed(image_index), raster=raster)
