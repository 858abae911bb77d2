"""Rasters: images as raw pixels, before encoding."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Raster:
    """An RGB image: 8 bits a channel, row-major, `len(rgb) == 3 * width_px * height_px`."""

    width_px: int
    height_px: int
    rgb: bytes

    def __post_init__(self) -> None:
        """Raise ValueError when the bytes do not fit the size."""
        if len(self.rgb) != 3 * self.width_px * self.height_px:
            raise ValueError(f"{len(self.rgb)} bytes are not an image of {self.width_px}x{self.height_px}")


def blackened(raster: Raster) -> Raster:
    """Return a black image of the same size."""
    return Raster(width_px=raster.width_px, height_px=raster.height_px, rgb=bytes(len(raster.rgb)))
