"""What a check says about a prompt or a picture, and who must be able to say it. Knows no rule and no model."""

from dataclasses import dataclass
from typing import Protocol

NO_CHECKER = "none"


@dataclass(frozen=True, kw_only=True)
class PromptVerdict:
    """`checker` names what looked at the prompt, "none" if nothing did; `reason` is safe to show to the caller."""

    allowed: bool
    checker: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImageVerdict:
    """`checker` names what looked at the picture, "none" if nothing did."""

    flagged: bool
    checker: str


class Picture(Protocol):
    """An RGB picture: 8 bits a channel, row-major."""

    @property
    def width_px(self) -> int: ...

    @property
    def height_px(self) -> int: ...

    @property
    def rgb(self) -> bytes: ...
