"""What the server and its drawing process say to each other, and how it looks on a pipe.

A frame is two lengths, a JSON header, and raw bytes (a picture, or nothing). Knows nothing of processes or torch.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, BinaryIO

from danqing.engine.interface import ImageResult, Progress
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest

MAX_HEADER_BYTES = 1 << 20
MAX_PICTURE_BYTES = 64 << 20

_LENGTHS = struct.Struct(">II")


class ProtocolError(Exception):
    """The other side sent something that is no frame of ours."""


class Outcome(StrEnum):
    """How a drawing ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """To the child: draw these images of the request. `draw_id` is new for every attempt."""

    draw_id: int
    request: ImageRequest
    image_indexes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Write:
    """To the child: rewrite this prompt in detail. It counts as a drawing without events, whose end brings the text."""

    draw_id: int
    prompt: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """To the child: stop this drawing; answered by `Ended`."""

    draw_id: int


@dataclass(frozen=True, kw_only=True)
class Loading:
    """To the parent: so much of the checkpoint is loaded."""

    num_done: int
    num_total: int


@dataclass(frozen=True, kw_only=True)
class Ready:
    """To the parent: the model can draw; `model` describes it in words."""

    model: str


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    """To the parent: the model could not be loaded; `permanent` when trying again cannot help."""

    reason: str
    permanent: bool


@dataclass(frozen=True, kw_only=True)
class Drew:
    """To the parent: one step or one picture of a drawing."""

    draw_id: int
    event: Progress | ImageResult


@dataclass(frozen=True, kw_only=True)
class Ended:
    """To the parent: nothing more comes of this drawing; `caption` is what was written, for a `Write`."""

    draw_id: int
    outcome: Outcome
    reason: str = ""
    caption: str = ""


Command = Draw | Write | Cancel
Report = Loading | Ready | LoadFailed | Drew | Ended
Message = Command | Report

_PLAIN: dict[str, Callable[..., Message]] = {
    "write": Write,
    "cancel": Cancel,
    "loading": Loading,
    "ready": Ready,
    "load_failed": LoadFailed,
    "ended": Ended,
}
_PLAIN_NAMES = {message: name for name, message in _PLAIN.items()}


def encode(message: Message) -> bytes:
    """Return the frame of `message`."""
    picture: Raster | None = None
    match message:
        case Draw():
            header = {"type": "draw", **asdict(message)}
        case Drew(draw_id=draw_id, event=Progress() as event):
            picture = event.preview
            header = {"type": "step", "draw_id": draw_id, "image_index": event.image_index}
            header |= {"step": event.step, "num_steps": event.num_steps}
        case Drew(draw_id=draw_id, event=ImageResult() as event):
            picture = event.raster
            header = {"type": "image", "draw_id": draw_id, "image_index": event.image_index, "seed": event.seed}
        case _:
            header = {"type": _PLAIN_NAMES[type(message)], **asdict(message)}
    if picture is not None:
        header |= {"width_px": picture.width_px, "height_px": picture.height_px}
    head = json.dumps(header).encode()
    payload = b"" if picture is None else picture.rgb
    return b"".join((_LENGTHS.pack(len(head), len(payload)), head, payload))


def read(stream: BinaryIO) -> Message | None:
    """Read the next message; None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, picture_bytes = _checked(lengths)
    head, payload = stream.read(head_bytes), stream.read(picture_bytes)
    if len(head) < head_bytes or len(payload) < picture_bytes:
        return None
    return _decode(head, payload)


async def receive(stream: asyncio.StreamReader) -> Message | None:
    """Await the next message; None at the end of the stream."""
    try:
        head_bytes, picture_bytes = _checked(await stream.readexactly(_LENGTHS.size))
        return _decode(await stream.readexactly(head_bytes), await stream.readexactly(picture_bytes))
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None


def _checked(lengths: bytes) -> tuple[int, int]:
    head_bytes, picture_bytes = _LENGTHS.unpack(lengths)
    if head_bytes > MAX_HEADER_BYTES or picture_bytes > MAX_PICTURE_BYTES:
        raise ProtocolError(f"a frame of {head_bytes} + {picture_bytes} bytes is over the limit")
    return head_bytes, picture_bytes


def _decode(head: bytes, payload: bytes) -> Message:
    try:
        fields = json.loads(head)
        return _build(fields.pop("type"), fields, payload)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"a frame cannot be read: {error!r}") from error


def _build(name: str, fields: dict[str, Any], payload: bytes) -> Message:
    if name == "draw":
        request = ImageRequest(**fields["request"])
        return Draw(draw_id=fields["draw_id"], request=request, image_indexes=tuple(fields["image_indexes"]))
    if name == "ended":
        return Ended(**{**fields, "outcome": Outcome(fields["outcome"])})
    if name in ("step", "image"):
        draw_id = fields.pop("draw_id")
        picture = _picture(fields, payload)
        if name == "step":
            return Drew(draw_id=draw_id, event=Progress(**fields, preview=picture))
        if picture is None:
            raise ProtocolError("an image frame without its picture")
        return Drew(draw_id=draw_id, event=ImageResult(**fields, raster=picture))
    return _PLAIN[name](**fields)


def _picture(fields: dict[str, Any], payload: bytes) -> Raster | None:
    if "width_px" not in fields:
        return None
    picture = Raster(width_px=fields.pop("width_px"), height_px=fields.pop("height_px"), rgb=payload)
    if len(payload) != 3 * picture.width_px * picture.height_px:
        raise ProtocolError(f"{len(payload)} bytes are no {picture.width_px}x{picture.height_px} picture")
    return picture
