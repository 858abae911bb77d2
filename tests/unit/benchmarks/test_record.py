"""The table of `make bench` sets each figure beside the recorded one of the same name."""

import json
from pathlib import Path

import pytest

from benchmarks.record import RESULTS, Figure, Record, newest_record, read_record, table


def record(date: str, **values: float) -> Record:
    figures = [Figure(group="start", name=name, unit="s", value=value) for name, value in values.items()]
    return Record(
        date=date, processor="A processor", num_processors=2, load=0.5, versions={"PyTorch": "2.13.0"}, figures=figures
    )


def cells(text: str, label: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if label in line)
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_each_line_shows_the_recorded_value_and_the_ratio(tmp_path: Path) -> None:
    path = tmp_path / "2026-01-02-bench.json"
    record("2026-01-02", serve=6.0, generate=4.0).write(path)
    text = table(record("2026-01-03", generate=5.0, serve=3.0), read_record(path))
    assert cells(text, "start: serve, s") == ["3", "6", "0.50"]
    assert cells(text, "start: generate, s") == ["5", "4", "1.25"]
    assert text.splitlines()[:2] == [
        "now: 2026-01-03, A processor, 2 processors, PyTorch 2.13.0, load 0.5 at the start",
        "recorded: 2026-01-02, A processor, 2 processors, PyTorch 2.13.0, load 0.5 at the start",
    ]


def test_a_figure_without_a_recorded_one_in_the_same_unit_has_no_ratio() -> None:
    before = record("2026-01-02", serve=6.0)
    milliseconds = Figure(group="start", name="generate", unit="ms", value=4000)
    before.figures.append(milliseconds)
    text = table(record("2026-01-03", generate=5.0, load=1.0), before)
    assert cells(text, "start: generate, s") == ["5", "", ""]
    assert cells(text, "start: load, s") == ["1", "", ""]
    assert cells(table(before, None), "start: serve, s") == ["6", "", ""]


def test_the_newest_record_is_the_last_by_date(tmp_path: Path) -> None:
    assert newest_record(tmp_path) is None
    for date in ("2026-01-02", "2026-11-01", "2026-02-03"):
        record(date).write(tmp_path / f"{date}-bench.json")
    assert newest_record(tmp_path) == tmp_path / "2026-11-01-bench.json"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*-bench.json")), ids=lambda path: path.name)
def test_recorded_files_can_be_compared_with(path: Path) -> None:
    recorded = read_record(path)
    assert path.name.startswith(recorded.date)
    lines = table(recorded, recorded).splitlines()
    assert len(lines) == len(recorded.figures) + 5
    assert all(line.endswith(" 1.00 |") for line in lines[5:])
    assert len(json.loads(path.read_text())["figures"]) == len({figure.label for figure in recorded.figures})
