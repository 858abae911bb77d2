"""The messages between the server and its engine process: commands to the child, reports to the parent."""

from enum import StrEnum

import msgspec

from danqing.child_process import Frames
from danqing.engine.interface import ImageResult, Progress
from danqing.pictures.request import Expansion, ImageRequest


class TaskOutcome(StrEnum):
    """How a task ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"


class DrawImages(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Draw these images of the request, whose prompt may have been expanded."""

    task_id: int
    request: ImageRequest
    image_indexes: tuple[int, ...]
    expansion: Expansion | None = None


class Expand(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Expand the request's prompt: a task without events, whose end brings the expansion."""

    task_id: int
    request: ImageRequest


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop this task; `TaskEnded` confirms it."""

    task_id: int


class LoadStage(StrEnum):
    """What an engine process is at before it can draw."""

    LOADING = "loading"
    COMPILING = "compiling"


class Loading(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`num_done` of `num_total` weights of the checkpoint are loaded, or regions compiled."""

    stage: LoadStage
    num_done: int
    num_total: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model can draw; `model` describes it in words."""

    model: str


class LoadFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model could not be loaded; `permanent` when trying again cannot help."""

    reason: str
    permanent: bool


class TaskEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One step or one image of a task."""

    task_id: int
    event: Progress | ImageResult


class TaskEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The last message of a task. `reason` explains a failure or, with the field, a rejection.

    An `Expand` ends with its `expansion`.
    """

    task_id: int
    outcome: TaskOutcome
    reason: str = ""
    field: str | None = None
    expansion: Expansion | None = None


Command = DrawImages | Expand | Cancel
Report = Loading | Ready | LoadFailed | TaskEvent | TaskEnded

COMMANDS: Frames[Command] = Frames(Command)
REPORTS: Frames[Report] = Frames(Report)
