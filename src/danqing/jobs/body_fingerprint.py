"""The fingerprint of a request's body, by which a retry under an idempotency key is told from another request."""

from dataclasses import dataclass
from typing import Self

# Two of them fit into the column.
HASH_CHARACTERS = 30


@dataclass(frozen=True, kw_only=True)
class BodyFingerprint:
    """Two hashes of a body: with the server's defaults filled in, and without those that a restart may change."""

    in_effect: str
    as_written: str

    def matches(self, other: Self) -> bool:
        """Whether both bodies ask for the same: in effect, or in what they say themselves."""
        return self.in_effect == other.in_effect or self.as_written == other.as_written

    def stored(self) -> str:
        """Return the fingerprint as the database keeps it."""
        return f"{self.in_effect} {self.as_written}"

    @classmethod
    def from_stored(cls, stored: str) -> Self:
        """Read what `stored` returned."""
        in_effect, _, as_written = stored.partition(" ")
        return cls(in_effect=in_effect, as_written=as_written)
