"""What jobs need from the other parts, as protocols; `app` passes the implementations, which nothing here knows.

The verdicts and the expanded prompt are the other parts' own values, named here again for our callers.
"""

from dataclasses import dataclass
from typing import Protocol

from danqing.engine.interface import Engine
from danqing.jobs.job import Job
from danqing.pictures.raster import Raster
from danqing.prompts.expander import ExpandedPrompt, PromptExpander
from danqing.safety.verdict import ImageVerdict, PromptVerdict

__all__ = [
    "ExpandedPrompt",
    "ImageCheck",
    "ImageStore",
    "ImageVerdict",
    "JobObserver",
    "JobParts",
    "PromptCheck",
    "PromptExpander",
    "PromptVerdict",
]


class PromptCheck(Protocol):
    """Judges a prompt before anything is drawn or charged."""

    async def check(self, prompt: str, *, negative_prompt: str = "", essential_only: bool = False) -> PromptVerdict:
        """Say whether the prompt may be drawn beside the negative prompt, which names what to avoid.

        `essential_only` refuses only what nobody may switch on.
        """


class ImageCheck(Protocol):
    """Judges a picture before it is delivered."""

    async def check(self, raster: Raster) -> ImageVerdict:
        """Say whether the picture must be blacked out."""


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


@dataclass(frozen=True, kw_only=True)
class JobParts:
    """The other parts of the service that a job passes through."""

    engine: Engine
    store: ImageStore
    prompt_check: PromptCheck
    image_check: ImageCheck
    expander: PromptExpander
    observer: JobObserver
