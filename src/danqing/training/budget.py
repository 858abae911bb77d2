"""How long a training runs. Knows no network."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """So many samples, or so many seconds of training, counting the earlier parts of a run that was taken up again."""

    num_samples: int | None = None
    seconds: float | None = None

    def share_done(self, *, num_seen: int, seconds: float) -> float:
        """How much of it is used up; 1 is all."""
        shares = [0.0]
        if self.num_samples is not None:
            shares.append(num_seen / self.num_samples)
        if self.seconds is not None:
            shares.append(seconds / self.seconds)
        return max(shares)
