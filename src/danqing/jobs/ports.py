"""Ports of the job system: the other parts that a job passes through, as protocols. `app` passes implementations."""

from dataclasses import dataclass
from typing import Protocol

from danqing.engine.interface import Engine
from danqing.jobs.job import Job
from danqing.prompts.expander import PromptExpander
from danqing.safety.image_check import ImageCheck
from danqing.safety.verdict import PromptVerdict
from danqing.storage.image_store import ImageWriter


class PromptCheck(Protocol):
    """Judges a prompt before anything is drawn or charged."""

    async def check(self, prompt: str, *, negative_prompt: str = "", essential_only: bool = False) -> PromptVerdict:
        """Say whether the prompt may be drawn beside the negative prompt, which names what to avoid.

        `essential_only` refuses only what nobody may switch on.
        """


class JobObserver(Protocol):
    """Learns of every committed change of a job's status, for metrics and logs. Must be quick and must not raise."""

    def job_changed(self, job: Job) -> None:
        """`job` has just been written with its present status."""


@dataclass(frozen=True, kw_only=True)
class JobParts:
    """The other parts of the service that a job passes through."""

    engine: Engine
    store: ImageWriter
    prompt_check: PromptCheck
    image_check: ImageCheck
    expander: PromptExpander
    observer: JobObserver
