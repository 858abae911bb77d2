"""What jobs need from the other parts, as protocols; `app` passes the implementations. Knows none of them."""

from dataclasses import dataclass
from typing import Protocol

from danqing.engine.interface import Raster
from danqing.jobs.job import Job


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


@dataclass(frozen=True, kw_only=True)
class ExpandedPrompt:
    """`prompt` is the text to draw; `warning` says why it is still the old one, if it is."""

    prompt: str
    warning: str | None = None


class PromptCheck(Protocol):
    """Judges a prompt before anything is drawn or charged."""

    async def check(self, prompt: str) -> PromptVerdict:
        """Say whether the prompt may be drawn."""


class ImageCheck(Protocol):
    """Judges a picture before it is delivered."""

    async def check(self, raster: Raster) -> ImageVerdict:
        """Say whether the picture must be blacked out."""


class PromptExpander(Protocol):
    """Rewrites a short prompt into a richer one; the same prompt and seed give the same text."""

    async def expand(self, prompt: str, *, seed: int) -> ExpandedPrompt:
        """Rewrite the prompt. Never raises for a failure of its own: it returns the prompt with a warning."""


class ImageStore(Protocol):
    """Keeps encoded pictures under keys it chooses."""

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        """Store durably and return the key. Raises Overloaded when there is no room."""

    async def delete(self, path: str) -> None:
        """Remove a picture; a missing one is no error."""


class JobObserver(Protocol):
    """Told of every committed change of a job's status, for metrics and logs. Must be quick and must not raise."""

    def job_changed(self, job: Job) -> None:
        """`job` has just been written with its present status."""
