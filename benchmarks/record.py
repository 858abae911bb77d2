"""The record of one benchmark run: what was measured, on which machine, and a table beside an earlier record.

A record is a JSON file in `results/`, whose name begins with its date.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
ENDING = "-bench.json"
HEADER = ("", "now", "recorded", "ratio")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value."""

    group: str
    name: str
    unit: str
    value: float

    @property
    def label(self) -> str:
        """What tells it from the other figures of a record."""
        return f"{self.group}: {self.name}, {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The figures of one run. `load` is the number of processes that wanted a processor when it began."""

    date: str
    processor: str
    num_processors: int
    load: float
    versions: dict[str, str]
    figures: list[Figure]

    def write(self, path: Path) -> None:
        """Write it as JSON, in folders that are made if need be."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @property
    def machine(self) -> str:
        """The machine and its software, in words."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.processor}, {self.num_processors} processors, {versions}, load {self.load:.1f} at the start"


def read_record(path: Path) -> Record:
    """Read what `Record.write` wrote."""
    values = json.loads(path.read_text())
    return Record(**{**values, "figures": [Figure(**figure) for figure in values["figures"]]})


def newest_record(folder: Path = RESULTS) -> Path | None:
    """The last recorded file; None before the first."""
    return max(folder.glob(f"*{ENDING}"), default=None)


def table(now: Record, recorded: Record | None) -> str:
    """One line a figure, the recorded value and the ratio of both beside it, as Markdown."""
    before = {each.label: each.value for each in recorded.figures} if recorded else {}
    rows = [HEADER, *(_row(each, before.get(each.label)) for each in now.figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:]))
    return "\n".join([*_machines(now, recorded), "", *lines])


def _machines(now: Record, recorded: Record | None) -> Iterator[str]:
    yield f"now: {now.date}, {now.machine}"
    yield f"recorded: {recorded.date}, {recorded.machine}" if recorded else "recorded: nothing yet"


def _row(now: Figure, before: float | None) -> tuple[str, str, str, str]:
    if before is None:
        return now.label, _number(now.value), "", ""
    return now.label, _number(now.value), _number(before), f"{now.value / before:.2f}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return f"| {' | '.join([f'{row[0]:<{widths[0]}}', *numbers])} |"
