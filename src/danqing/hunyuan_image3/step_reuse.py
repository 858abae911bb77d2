"""Step reuse: in some steps the velocity is extrapolated from the two computed before, and the network does not run.

Letters: B branches, C latent channels.
"""

from collections import deque
from collections.abc import Callable, Collection
from enum import StrEnum

from torch import Tensor

from danqing.hunyuan_image3.sampler import Conditions

Predict = Callable[[Tensor, Conditions], Tensor]


class StepReuse(StrEnum):
    """The share of the steps that do without the network, about a third or nearly a half."""

    NONE = "none"
    THIRD = "third"
    HALF = "half"


# A line needs two points.
NUM_POINTS = 2


def reused_steps(reuse: StepReuse, *, num_steps: int) -> range:
    """The steps, from 0, whose velocity is extrapolated: every second one after the first few, and never the last.

    A third keeps the steps that decide what the picture shows.
    """
    if reuse is StepReuse.NONE:
        return range(0)
    num_computed_first = NUM_POINTS if reuse is StepReuse.HALF else max(NUM_POINTS, -(-num_steps // 3))
    return range(num_computed_first, num_steps - 1, 2)


class ReusedPredictions:
    """A `predict` for one image that asks another in all steps but the reused ones."""

    def __init__(self, predict: Predict, *, reused: Collection[int]) -> None:
        self._predict = predict
        self._reused = reused
        self._num_steps_done = 0
        self._computed: deque[tuple[Tensor, Tensor]] = deque(maxlen=NUM_POINTS)

    def __call__(self, latent: Tensor, conditions: Conditions) -> Tensor:
        """Velocities of the next step, [B, C, H, W]; a reused step has the branches of the step before it."""
        step = self._num_steps_done
        self._num_steps_done += 1
        if step in self._reused:
            return self._extrapolated(conditions.t)
        velocity = self._predict(latent, conditions)
        self._computed.append((conditions.t, velocity))
        return velocity

    def _extrapolated(self, t: Tensor) -> Tensor:
        (earlier_t, earlier), (latest_t, latest) = self._computed
        # The conditional branch follows a line, and the others move along with it: how far they lie apart jumps about
        # from step to step, so that a line through two distances is further off than the latest.
        return latest + (t - latest_t) / (latest_t - earlier_t) * (latest[:1] - earlier[:1])
