"""What `--json` prints is JSON on standard output and nothing else, also when there is more to say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]

CHECKPOINT = Path(__file__).parents[2] / "data" / "parity" / "pretrain"


@pytest.fixture
def read(run: Run) -> Callable[..., Any]:
    def read(*arguments: str) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return read


def test_accounts(run: Run, read: Callable[..., Any]) -> None:
    # The very first command tells of the key that it made, on standard error.
    (account,) = read("accounts", "list")
    assert account["id"] == "default"
    assert account["available_credits"] > 0
    assert account["created_at"].endswith("+00:00")


def test_credits(run: Run, read: Callable[..., Any]) -> None:
    run("accounts", "create", "design", "--name", "Design team")
    run("credits", "grant", "210000", "--account", "design")
    balance = read("credits", "balance", "--account", "design")
    assert (balance["account"], balance["available_credits"], balance["held_credits"]) == ("design", 210_000, 0)
    assert read("credits", "check") == []


def test_keys_are_listed_without_their_secrets(run: Run, read: Callable[..., Any]) -> None:
    created = read("keys", "create", "--name", "laptop")
    listed = next(key for key in read("keys", "list") if key["name"] == "laptop")
    assert listed["prefix"] == created["key"][:8]
    assert created["key"] not in json.dumps(listed)


def test_a_checkpoint(read: Callable[..., Any]) -> None:
    summary = read("model", "info", str(CHECKPOINT))
    assert sum(summary["stored_parameters"].values()) == summary["num_parameters"]
    assert len(summary["config"]["layers"]) == json.loads((CHECKPOINT / "config.json").read_text())["num_hidden_layers"]
    assert len(summary["buckets"]) == 17


def test_drawn_pictures(read: Callable[..., Any], tmp_path: Path, tiny_checkpoint: Path) -> None:
    options = ["--model", str(tiny_checkpoint), "--steps", "1", "--size", "200x100", "--num-images", "2", "--seed", "7"]
    drawn = read("generate", "a brown dog", "-o", str(tmp_path / "dog.png"), *options)
    assert drawn["engine"].startswith("tiny (")
    assert drawn["pictures"] == [
        {"path": str(tmp_path / f"dog-{number}.png"), "seed": 6 + number, "width_px": 200, "height_px": 100}
        for number in (1, 2)
    ]
    assert all(Path(picture["path"]).is_file() for picture in drawn["pictures"])
