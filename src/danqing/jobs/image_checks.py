"""The image checks of one job: every finished image and every preview passes them before it leaves the server."""

import logging

from danqing.errors import ServiceError
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest
from danqing.safety.image_check import ImageCheck
from danqing.safety.verdict import ImageVerdict

logger = logging.getLogger(__name__)

CHECK_IS_OFF = "off"
# Checks take time from the engine's processor: about 50 ms each.
MAX_CHECKED_PREVIEWS = 16


class ImageChecks:
    """The check of images for one request, whose caller may have switched it off."""

    def __init__(self, image_check: ImageCheck, *, request: ImageRequest) -> None:
        self._image_check = image_check
        self._is_on = request.enable_safety_checker
        self._flagged_previews: set[int] = set()

    def preview_every_steps(self, request: ImageRequest) -> int:
        """Return the interval of previews: the requested one, or longer where MAX_CHECKED_PREVIEWS ask for it."""
        if not self._is_on or request.preview_every_steps == 0:
            return request.preview_every_steps
        shortest = -(-request.num_inference_steps // (MAX_CHECKED_PREVIEWS + 1))
        return max(request.preview_every_steps, shortest)

    async def check(self, raster: Raster) -> ImageVerdict:
        """Judge a finished image. Raises ServiceError when it cannot be judged."""
        if not self._is_on:
            return ImageVerdict(flagged=False, checker=CHECK_IS_OFF)
        return await self._image_check.check(raster)

    async def passes_preview(self, preview: Raster, *, image_index: int) -> bool:
        """Return whether the preview may be shown. After a flagged one, no later preview of the image may."""
        if image_index in self._flagged_previews:
            return False
        try:
            verdict = await self.check(preview)
        except ServiceError as error:
            logger.warning("a preview could not be checked and is not shown: %s", error.message)
            return False
        if verdict.flagged:
            self._flagged_previews.add(image_index)
        return not verdict.flagged
