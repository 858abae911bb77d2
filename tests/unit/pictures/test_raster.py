"""Rasters: raw pixels."""

from danqing.pictures.raster import Raster, blackened

RASTER = Raster(width_px=3, height_px=2, rgb=bytes(range(18)))


def test_a_blackened_raster_has_the_same_size():
    black = blackened(RASTER)
    assert (black.width_px, black.height_px, set(black.rgb)) == (3, 2, {0})
    assert len(black.rgb) == len(RASTER.rgb)
