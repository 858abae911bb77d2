"""The messages between the server and its image classifier's process: images to the child, scores to the parent."""

import msgspec

from danqing.child_process import Frames
from danqing.pictures.raster import Raster


class Score(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Score this image."""

    raster: Raster


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The classifier is loaded."""


class LoadFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The classifier could not be loaded."""

    reason: str


class Scored(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`score` is the probability, 0 to 1, that the image must be flagged."""

    score: float


Report = Ready | LoadFailed | Scored

COMMANDS: Frames[Score] = Frames(Score)
REPORTS: Frames[Report] = Frames(Report)
