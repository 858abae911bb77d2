"""Credits are granted, shown and audited."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import Result

from danqing.database import Database

Run = Callable[..., Result]


def test_a_grant_adds_to_the_balance(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANQING_STARTING_CREDITS", "2000000")
    assert run("credits", "balance").stdout == "2,000,000 credits ($1.00)\n"
    assert run("credits", "grant", "500000").stdout == "2,500,000 credits ($1.25)\n"
    assert run("credits", "balance").stdout == "2,500,000 credits ($1.25)\n"


def test_accounts_have_their_own_credits(run: Run) -> None:
    assert run("accounts", "create", "design", "--name", "Design team").exit_code == 0
    assert run("credits", "grant", "7", "--account", "design").exit_code == 0
    assert run("credits", "balance", "--account", "design").stdout == "7 credits ($0.00)\n"
    listed = run("accounts", "list").stdout
    assert "Design team" in listed
    assert "default" in listed


def test_a_sound_ledger_passes_the_check(run: Run) -> None:
    result = run("credits", "check")
    assert result.exit_code == 0
    assert result.stdout == "Ledger and jobs agree.\n"


def test_a_changed_balance_is_found_with_its_own_exit_code(run: Run, tmp_path: Path) -> None:
    run("credits", "grant", "5")
    database = Database(f"sqlite:///{tmp_path / 'data' / 'danqing.db'}")
    with database.write() as conn:
        conn.execute(text("UPDATE accounts SET available_credits = available_credits + 1"))
    database.close()
    result = run("credits", "check")
    assert result.exit_code == 3
    assert "account default" in result.stdout
    as_json = run("credits", "check", "--json")
    assert as_json.exit_code == 3
    assert "account default" in json.loads(as_json.stdout)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["grant", "0"],
        ["grant", "-5"],
        ["grant", "many"],
        ["grant", str(10**16)],
        ["grant", "5", "--account", "nobody"],
        ["balance", "--account", "nobody"],
    ],
)
def test_bad_input_is_said_in_one_line(run: Run, arguments: list[str]) -> None:
    result = run("credits", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.stderr


@pytest.mark.parametrize("account", ["", "a b", "x" * 65, "default"])
def test_an_account_needs_a_new_and_plain_id(run: Run, account: str) -> None:
    result = run("accounts", "create", account, "--name", "Name")
    assert result.exit_code == 2
    assert "account" in result.stderr
