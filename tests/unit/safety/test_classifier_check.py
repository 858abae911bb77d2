"""The image check in its process: the real default classifier, and processes that misbehave."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from danqing.errors import Overloaded
from danqing.pictures.raster import Raster
from danqing.safety import classifier_check
from danqing.safety.classifier_check import ClassifierFailed, ClassifierImageCheck
from danqing.safety.image_check import OPENNSFW

GREY = Raster(width_px=40, height_px=24, rgb=bytes([128]) * (3 * 40 * 24))


def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Run this program in place of the classifier's; it finds `start` in its file name's folder as often as it ran."""
    program = tmp_path / "classifier.py"
    prelude = """
import os, sys, time
from pathlib import Path
from danqing.child_process import become_child
from danqing.safety.classifier_messages import COMMANDS, REPORTS, LoadFailed, Ready, Scored
starts = Path(__file__).with_name("starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
num_starts = len(starts.read_text())
reports = become_child()
def send(report): REPORTS.send(report, reports)
def read(): return COMMANDS.read(sys.stdin.buffer)
"""
    program.write_text(prelude + script)
    monkeypatch.setattr(classifier_check, "child_command", lambda module, source: [sys.executable, str(program)])


async def test_the_default_check_names_itself_and_scores_every_image():
    check = ClassifierImageCheck(OPENNSFW, threshold=0.5)
    await check.start()
    try:
        verdicts = [await check.check(GREY) for _ in range(2)]
    finally:
        await check.stop()
    assert verdicts[0] == verdicts[1]
    assert (verdicts[0].flagged, verdicts[0].checker) == (False, "opennsfw")
    assert 0 <= verdicts[0].score < 0.5


@pytest.mark.parametrize(("threshold", "flagged"), [(0.7, True), (0.71, False)])
async def test_an_image_is_flagged_from_the_threshold_on(monkeypatch, tmp_path, threshold, flagged):
    scripted(monkeypatch, tmp_path, "send(Ready())\nwhile read(): send(Scored(score=0.7))")
    check = ClassifierImageCheck("any", threshold=threshold)
    verdict = await check.check(GREY)
    assert (verdict.flagged, verdict.score) == (flagged, 0.7)
    await check.stop()


async def test_a_folder_is_named_without_its_path(monkeypatch, tmp_path):
    scripted(monkeypatch, tmp_path, "send(Ready())\nwhile read(): send(Scored(score=0))")
    folder = tmp_path / "red-pictures"
    folder.mkdir()
    check = ClassifierImageCheck(str(folder), threshold=0.5)
    assert (await check.check(GREY)).checker == "red-pictures"
    await check.stop()


async def test_images_at_once_get_their_own_scores(monkeypatch, tmp_path):
    scripted(monkeypatch, tmp_path, "send(Ready())\nwhile (c := read()): send(Scored(score=c.raster.rgb[0] / 255))")
    check = ClassifierImageCheck("any", threshold=1)
    shades = range(0, 250, 25)
    rasters = [Raster(width_px=1, height_px=1, rgb=bytes([shade] * 3)) for shade in shades]
    verdicts = await asyncio.gather(*(check.check(raster) for raster in rasters))
    assert [verdict.score for verdict in verdicts] == [round(shade / 255, 4) for shade in shades]
    await check.stop()


async def test_a_process_that_died_is_replaced(monkeypatch, tmp_path):
    scripted(monkeypatch, tmp_path, "send(Ready())\nwhile read(): send(Scored(score=0.5))")
    check = ClassifierImageCheck("any", threshold=0.5)
    await check.start()
    assert check._process is not None
    os.kill(check._process.pid, signal.SIGKILL)
    assert (await check.check(GREY)).flagged
    await check.stop()


@pytest.mark.parametrize(
    "script",
    ["send(Ready()); read(); os._exit(3)", "send(Ready()); read(); reports.write(b'nonsense'); reports.flush()"],
    ids=["dies", "breaks the protocol"],
)
async def test_an_image_that_kills_two_processes_fails_alone(monkeypatch, tmp_path, script):
    scripted(monkeypatch, tmp_path, f"if num_starts <= 2: {script}\nsend(Ready())\nwhile read(): send(Scored(score=0))")
    check = ClassifierImageCheck("any", threshold=0.5)
    with pytest.raises(ClassifierFailed):
        await check.check(GREY)
    assert not (await check.check(GREY)).flagged
    await check.stop()


async def test_a_cancelled_check_leaves_its_score_to_nobody(monkeypatch, tmp_path):
    scripted(
        monkeypatch,
        tmp_path,
        "send(Ready())\nwhile read():\n    if num_starts == 1: time.sleep(1)\n    send(Scored(score=1 / num_starts))",
    )
    check = ClassifierImageCheck("any", threshold=0.9)
    await check.start()
    checking = asyncio.ensure_future(check.check(GREY))
    await asyncio.sleep(0.1)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert (await check.check(GREY)).score == 0.5
    await check.stop()


async def test_a_classifier_that_cannot_be_loaded_is_reported_with_its_reason(tmp_path, caplog):
    check = ClassifierImageCheck(str(tmp_path), threshold=0.5)
    with pytest.raises(Overloaded, match="cannot be loaded"):
        await check.start()
    (record,) = [record for record in caplog.records if "cannot be loaded" in record.getMessage()]
    assert tmp_path.name in record.getMessage()
