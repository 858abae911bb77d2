"""The command line as a person meets it: run in this process, with a data folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from danqing.cli.main import app

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `danqing` with these arguments."""
    monkeypatch.setenv("DANQING_DATA_DIR", str(tmp_path / "data"))
    # A port that is free, whatever else runs here.
    monkeypatch.setenv("DANQING_PORT", "0")
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()
    return lambda *arguments, **options: runner.invoke(app, list(arguments), **options)
