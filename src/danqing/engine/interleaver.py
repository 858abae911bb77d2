"""Takes turns between drawings: one step of one image, or a few tokens of text, so that a short job never waits for
a long one.

Knows nothing of processes, pipes, threads or torch.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import Drew, Ended, Outcome
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest

logger = logging.getLogger(__name__)


# So many take about as long as a step.
TOKENS_PER_TURN = 8


class PromptRejected(Exception):
    """The model cannot draw or rewrite this prompt; the message is safe to show."""


class DenoisedStep(Protocol):
    """One step of the denoise loop is done."""

    @property
    def step(self) -> int: ...
    @property
    def num_steps(self) -> int: ...
    @property
    def latent(self) -> Any: ...


class Painter(Protocol):
    """A loaded model. What `prefill` returns and what a latent is only the painter knows."""

    @property
    def description(self) -> str: ...

    @property
    def fatal_errors(self) -> tuple[type[Exception], ...]:
        """Errors that leave the whole process unusable; any other fails one drawing alone."""

    def prefill(self, request: ImageRequest) -> Any:
        """Compute what all images of the request share. Raises PromptRejected."""

    def denoise(self, prefix: Any, *, image_index: int) -> Iterator[DenoisedStep]:
        """Draw one image, a step at a time."""

    def decode(self, latent: Any, prefix: Any) -> Raster:
        """Turn the last step's latent into the picture."""

    def preview(self, step: Any) -> Raster:
        """Make a small picture of a running image from one of its steps."""

    def expand(self, prompt: str, *, seed: int) -> Generator[int, None, str]:
        """Expand the prompt, a token at a time; returns the caption. Raises PromptRejected."""


# Worth a caption in the end, or nothing.
_Turns = Generator[Progress | ImageResult | None, None, str | None]


class Interleaver:
    """Round robin between drawings, and within a drawing between its images."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        self._turns: dict[int, _Turns] = {}
        self._order: deque[int] = deque()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._turns

    def add(self, draw_id: int, *, request: ImageRequest, image_indexes: Sequence[int]) -> None:
        """Put a drawing at the end of the round."""
        self._append(draw_id, _draw(self._painter, request, image_indexes))

    def add_expansion(self, draw_id: int, *, prompt: str, seed: int) -> None:
        """Put the expansion of a prompt at the end of the round."""
        self._append(draw_id, _expand(self._painter, prompt, seed))

    def cancel(self, draw_id: int) -> Ended | None:
        """Drop a drawing at once; None when it is already over."""
        if self._turns.pop(draw_id, None) is None:
            return None
        self._order.remove(draw_id)
        return Ended(draw_id=draw_id, outcome=Outcome.CANCELLED)

    def turn(self) -> Drew | Ended | None:
        """Work one step for the drawing whose turn it is; None when there is nothing to tell.

        Passes on the painter's fatal errors and no others.
        """
        draw_id = self._order.popleft()
        try:
            event = next(self._turns[draw_id])
        except self._painter.fatal_errors:
            raise
        except StopIteration as stop:
            return self._end(draw_id, Outcome.COMPLETED, caption=stop.value or "")
        except PromptRejected as error:
            return self._end(draw_id, Outcome.REJECTED, reason=str(error))
        except Exception as error:
            logger.exception("drawing failed")
            return self._end(draw_id, Outcome.FAILED, reason=f"{type(error).__name__}: {error}")
        self._order.append(draw_id)
        return None if event is None else Drew(draw_id=draw_id, event=event)

    def _append(self, draw_id: int, turns: _Turns) -> None:
        self._turns[draw_id] = turns
        self._order.append(draw_id)

    def _end(self, draw_id: int, outcome: Outcome, *, reason: str = "", caption: str = "") -> Ended:
        del self._turns[draw_id]
        return Ended(draw_id=draw_id, outcome=outcome, reason=reason, caption=caption)


def _expand(painter: Painter, prompt: str, seed: int) -> _Turns:
    tokens = painter.expand(prompt, seed=seed)
    while True:
        for _ in range(TOKENS_PER_TURN):
            try:
                next(tokens)
            except StopIteration as end:
                return str(end.value)
        yield None


def _draw(painter: Painter, request: ImageRequest, image_indexes: Sequence[int]) -> _Turns:
    prefix = painter.prefill(request)
    yield None
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
