"""Judges finished pictures, or says that nobody does. Knows nothing of what happens to a flagged picture."""

from typing import Protocol

from danqing.safety.verdict import NO_CHECKER, ImageVerdict, Picture


class ImageCheck(Protocol):
    """Judges a picture before it is delivered."""

    async def start(self) -> None:
        """Make ready; raises when that is impossible."""

    async def stop(self) -> None:
        """Give back what `start` took."""

    async def check(self, raster: Picture) -> ImageVerdict:
        """Say whether the picture must be blacked out."""


class NoImageCheck:
    """Looks at nothing and says so: for a checkpoint that ships no classifier."""

    async def start(self) -> None:
        """Nothing to make ready."""

    async def stop(self) -> None:
        """Nothing to give back."""

    async def check(self, raster: Picture) -> ImageVerdict:
        """Pass the picture, naming no checker."""
        del raster
        return ImageVerdict(flagged=False, checker=NO_CHECKER)
