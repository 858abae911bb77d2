"""A server without a classifier says that nothing looked."""

from danqing.pictures.raster import Raster
from danqing.safety.image_check import NoImageCheck


async def test_no_check_flags_nothing_and_names_nobody():
    verdict = await NoImageCheck().check(Raster(width_px=1, height_px=1, rgb=b"\0\0\0"))
    assert (verdict.flagged, verdict.checker) == (False, "none")
