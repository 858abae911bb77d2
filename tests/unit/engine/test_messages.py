"""Every message of the engine's protocol survives the pipe, in its own direction only."""

import io

import pytest

from danqing.child_process import ProtocolError
from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import (
    COMMANDS,
    REPORTS,
    Cancel,
    Command,
    DrawImages,
    Expand,
    LoadFailed,
    Loading,
    LoadStage,
    Ready,
    Report,
    TaskEnded,
    TaskEvent,
    TaskOutcome,
)
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest

RASTER = Raster(width_px=2, height_px=1, rgb=bytes(range(6)))
REQUEST = ImageRequest(
    prompt="丹青 🦖", width_px=None, height_px=None, num_images=2, seed=2**63 - 1, output_compression=80
)
EXPANSION = Expansion(caption="红色的恐龙 🦖", thought="恐龙。\n红色。", width_px=1024, height_px=768)
COMMAND_EXAMPLES: list[Command] = [
    DrawImages(task_id=1, request=REQUEST, image_indexes=(0, 1)),
    DrawImages(task_id=1, request=REQUEST, image_indexes=(1,), expansion=EXPANSION),
    Expand(task_id=2, request=REQUEST),
    Cancel(task_id=1),
]
REPORT_EXAMPLES: list[Report] = [
    Loading(stage=LoadStage.LOADING, num_done=1, num_total=2),
    Ready(model="mini"),
    LoadFailed(reason="no such file", permanent=True),
    TaskEvent(task_id=1, event=Progress(image_index=0, step=1, num_steps=2)),
    TaskEvent(task_id=1, event=Progress(image_index=0, step=1, num_steps=2, preview=RASTER)),
    TaskEvent(task_id=1, event=ImageResult(image_index=1, seed=8, raster=RASTER)),
    TaskEnded(task_id=1, outcome=TaskOutcome.FAILED, reason="bug"),
    TaskEnded(task_id=2, outcome=TaskOutcome.COMPLETED, expansion=EXPANSION),
]


@pytest.mark.parametrize("command", COMMAND_EXAMPLES, ids=lambda command: type(command).__name__)
def test_every_command_survives_the_pipe_and_is_no_report(command: Command) -> None:
    frame = COMMANDS.encode(command)
    assert COMMANDS.read(io.BytesIO(frame)) == command
    with pytest.raises(ProtocolError):
        REPORTS.read(io.BytesIO(frame))


@pytest.mark.parametrize("report", REPORT_EXAMPLES, ids=lambda report: type(report).__name__)
def test_every_report_survives_the_pipe_and_is_no_command(report: Report) -> None:
    frame = REPORTS.encode(report)
    assert REPORTS.read(io.BytesIO(frame)) == report
    with pytest.raises(ProtocolError):
        COMMANDS.read(io.BytesIO(frame))


@pytest.mark.parametrize(
    ("report", "part", "broken"),
    [
        (REPORT_EXAMPLES[5], b"width_px\x02", b"width_px\x03"),
        (REPORT_EXAMPLES[5], b"width_px", b"width_xp"),
        (REPORT_EXAMPLES[6], b"failed", b"flaked"),
    ],
)
def test_a_report_that_contradicts_itself_is_a_protocol_error(report: Report, part: bytes, broken: bytes) -> None:
    frame = REPORTS.encode(report)
    assert part in frame
    with pytest.raises(ProtocolError):
        REPORTS.read(io.BytesIO(frame.replace(part, broken)))
