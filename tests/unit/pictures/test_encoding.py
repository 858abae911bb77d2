"""Files made of pixels."""

import io

import pytest
from PIL import Image

from danqing.pictures.encoding import TRAINED_ALGORITHMIC_MEDIA, Provenance, encode, encode_preview
from danqing.pictures.raster import Raster, blackened

RASTER = Raster(width_px=3, height_px=2, rgb=bytes(range(18)))
PROVENANCE = Provenance(model='a "big" model <1>', seed=2**63 - 1)


def _encode(output_format="png", output_compression=None, provenance=PROVENANCE, raster=RASTER):
    return encode(raster, output_format=output_format, output_compression=output_compression, provenance=provenance)


def test_png_keeps_every_pixel():
    encoded = _encode()
    image = Image.open(io.BytesIO(encoded.data))
    assert (image.format, image.size, image.tobytes()) == ("PNG", (3, 2), RASTER.rgb)
    assert (encoded.content_type, encoded.extension) == ("image/png", "png")


def test_jpeg_keeps_the_size():
    encoded = _encode("jpeg")
    image = Image.open(io.BytesIO(encoded.data))
    assert (image.format, image.size) == ("JPEG", (3, 2))
    assert (encoded.content_type, encoded.extension) == ("image/jpeg", "jpg")


def test_a_lower_jpeg_quality_gives_a_smaller_file():
    noise = Raster(width_px=64, height_px=64, rgb=bytes((i * i * 7919) % 251 for i in range(64 * 64 * 3)))
    sizes = [len(_encode("jpeg", quality, raster=noise).data) for quality in (0, 30, 60, 95)]
    assert sizes == sorted(set(sizes))
    assert len(_encode("jpeg", 100, raster=noise).data) == sizes[-1]


@pytest.mark.parametrize("output_format", ["png", "jpeg"])
def test_the_same_picture_gives_the_same_bytes(output_format):
    assert _encode(output_format).data == _encode(output_format).data


@pytest.mark.parametrize("output_format", ["png", "jpeg"])
def test_the_file_says_that_a_machine_made_it_from_which_seed(output_format):
    xmp = Image.open(io.BytesIO(_encode(output_format).data)).info["xmp"]
    xmp = xmp.decode() if isinstance(xmp, bytes) else xmp
    assert TRAINED_ALGORITHMIC_MEDIA in xmp
    assert f'danqing:Seed="{2**63 - 1}"' in xmp
    assert "&lt;1&gt;" in xmp
    assert "AISystemVersionUsed" in xmp


def test_another_seed_changes_nothing_but_the_label():
    other = _encode(provenance=Provenance(model="m", seed=1))
    assert Image.open(io.BytesIO(other.data)).tobytes() == RASTER.rgb
    assert other.data != _encode(provenance=Provenance(model="m", seed=2)).data


def test_a_preview_is_a_png_without_a_label():
    image = Image.open(io.BytesIO(encode_preview(RASTER)))
    assert (image.format, image.size, image.info) == ("PNG", (3, 2), {})


def test_a_blackened_picture_has_the_same_size():
    black = blackened(RASTER)
    assert (black.width_px, black.height_px, set(black.rgb)) == (3, 2, {0})
    assert len(black.rgb) == len(RASTER.rgb)
