"""Image files: their pixels, and their mark, which is read without the library that wrote it.

The mark is read by the specifications of the formats, and by ExifTool where it is installed.
"""

import io
import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from danqing.pictures.encoding import Provenance, encode, encode_preview
from danqing.pictures.raster import Raster

RASTER = Raster(width_px=3, height_px=2, rgb=bytes(range(18)))
PROVENANCE = Provenance(model='mini (15 M "parameters" & <more>)', seed=2**63 - 1)
MADE_BY_A_MACHINE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
FORMATS = ["png", "jpeg"]


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


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_same_picture_gives_the_same_bytes(output_format):
    assert _encode(output_format).data == _encode(output_format).data


def test_another_seed_changes_nothing_but_the_label():
    other = _encode(provenance=Provenance(model="m", seed=1))
    assert Image.open(io.BytesIO(other.data)).tobytes() == RASTER.rgb
    assert other.data != _encode(provenance=Provenance(model="m", seed=2)).data


def test_a_preview_is_a_png_without_a_label():
    image = Image.open(io.BytesIO(encode_preview(RASTER)))
    assert (image.format, image.size, image.info) == ("PNG", (3, 2), {})


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """ISO/IEC 15948: signature, then length, type, content and checksum of each chunk."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    position = 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length) == (zlib.crc32(kind + content),)
        yield kind, content
        position += 12 + length


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """ITU-T T.81: start of image, then marked segments with their length, until the scan begins."""
    assert data.startswith(b"\xff\xd8")
    position, marker = 2, 0
    while marker != 0xDA:
        mark, marker, length = struct.unpack_from(">BBH", data, position)
        assert mark == 0xFF
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length


def xmp_packets(data: bytes, output_format: str) -> list[bytes]:
    """Where the XMP specification, part 3, says that the packet lies."""
    if output_format == "png":
        # Keyword, no compression, no language, no translated keyword.
        head = b"XML:com.adobe.xmp\0\0\0\0\0"
        contents = [content for kind, content in png_chunks(data) if kind == b"iTXt"]
    else:
        head = b"http://ns.adobe.com/xap/1.0/\0"
        contents = [content for marker, content in jpeg_segments(data) if marker == 0xE1]
    return [content.removeprefix(head) for content in contents if content.startswith(head)]


@pytest.mark.parametrize("output_format", FORMATS)
def test_by_the_specifications_a_file_says_what_made_it(output_format: str) -> None:
    (packet,) = xmp_packets(_encode(output_format).data, output_format)
    (description,) = ElementTree.fromstring(packet.decode("utf-8")).iter(f"{RDF}Description")
    assert description.get(f"{IPTC}DigitalSourceType") == MADE_BY_A_MACHINE
    assert description.get(f"{IPTC}AISystemUsed") == PROVENANCE.model
    assert description.get(f"{IPTC}AISystemVersionUsed") == f"danqing {version('danqing')}"
    assert description.get("{urn:danqing:provenance:1}Seed") == str(2**63 - 1)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
@pytest.mark.parametrize("output_format", FORMATS)
def test_exiftool_reads_it_and_finds_nothing_wrong_with_the_file(tmp_path: Path, output_format: str) -> None:
    file = tmp_path / f"picture.{output_format}"
    file.write_bytes(_encode(output_format).data)
    command = ["exiftool", "-json", "-G1", "-n", "-validate", "-all", "-charset", "utf8", file]
    (read,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert read["XMP-iptcExt:DigitalSourceType"] == MADE_BY_A_MACHINE
    # Older versions know these two fields only by the names that the file gives.
    by_name = {key.partition(":")[2]: value for key, value in read.items()}
    assert by_name["AISystemUsed"] == PROVENANCE.model
    assert by_name["AISystemVersionUsed"] == f"danqing {version('danqing')}"
    assert str(by_name["Seed"]) == str(2**63 - 1)
    assert str(read["ExifTool:Validate"]).startswith("0"), read
