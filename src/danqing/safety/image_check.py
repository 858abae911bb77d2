"""The protocol of image checks, and the check of a server that has none."""

from typing import Protocol

from danqing.pictures.raster import Raster
from danqing.safety.verdict import NO_CHECKER, ImageVerdict

# The name of the classifier that needs no download, and the default.
OPENNSFW = "opennsfw"


class ImageCheck(Protocol):
    """Judges an image before it is delivered."""

    async def start(self) -> None:
        """Load the check; raises when that is impossible."""

    async def stop(self) -> None:
        """Release what `start` took."""

    async def check(self, raster: Raster) -> ImageVerdict:
        """Return whether the image must be blacked out."""


class NoImageCheck:
    """Passes every image and names no checker."""

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def check(self, raster: Raster) -> ImageVerdict:
        """Pass the image."""
        del raster
        return ImageVerdict(flagged=False, checker=NO_CHECKER)
