"""Image files: PNG and JPEG with the IPTC mark of machine-made media, never with the prompt.

The same raster, model and seed give the same bytes.
"""

import io
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from xml.sax.saxutils import quoteattr

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from danqing.pictures.raster import Raster
from danqing.pictures.request import OUTPUT_COMPRESSION

# Runs alone, without a search for earlier strings: three quarters of the time of zlib's level 4, and a smaller file
# (benchmarks/encoding.py).
PNG_STRATEGY = zlib.Z_RLE
# Pillow's documentation warns of more: it disables parts of the compression for nothing visible.
MAX_JPEG_QUALITY = 95

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The model that drew the image, and the seed."""

    model: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """The bytes of a file, its media type, and the ending of its name."""

    data: bytes
    content_type: str
    extension: str


def encode(
    raster: Raster, *, output_format: str, output_compression: int | None, provenance: Provenance
) -> EncodedImage:
    """Encode as "png" or as "jpeg". `output_compression` is the quality of a JPEG; a PNG is lossless and ignores it."""
    xmp = _xmp(provenance)
    buffer = io.BytesIO()
    image = _image(raster)
    if output_format == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        image.save(buffer, "PNG", pnginfo=info, compress_level=1, compress_type=PNG_STRATEGY)
        return EncodedImage(data=buffer.getvalue(), content_type="image/png", extension="png")
    assert output_format == "jpeg", f"no encoder for {output_format!r}"
    quality = OUTPUT_COMPRESSION.default if output_compression is None else min(output_compression, MAX_JPEG_QUALITY)
    image.save(buffer, "JPEG", quality=quality, xmp=xmp.encode())
    return EncodedImage(data=buffer.getvalue(), content_type="image/jpeg", extension="jpg")


def encode_preview(raster: Raster) -> bytes:
    """Encode as PNG with little effort, for a small raster that is looked at once."""
    buffer = io.BytesIO()
    _image(raster).save(buffer, "PNG", compress_level=1, compress_type=PNG_STRATEGY)
    return buffer.getvalue()


def _image(raster: Raster) -> Image.Image:
    return Image.frombytes("RGB", (raster.width_px, raster.height_px), raster.rgb)


@cache
def _own_version() -> str:
    # Looked up once: it reads the installed package's files.
    return version("danqing")


def _xmp(provenance: Provenance) -> str:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:danqing="urn:danqing:provenance:1"'
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(TRAINED_ALGORITHMIC_MEDIA)}"
        f" Iptc4xmpExt:AISystemUsed={quoteattr(provenance.model)}"
        f" Iptc4xmpExt:AISystemVersionUsed={quoteattr('danqing ' + _own_version())}"
        f' danqing:Seed="{provenance.seed}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )
