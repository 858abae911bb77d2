"""Keys are made, listed and revoked; the secret is shown once and works."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from danqing.accounts.api_keys import authenticate
from danqing.database import Database
from danqing.errors import InvalidApiKey

Run = Callable[..., Result]


@pytest.fixture
def works(tmp_path: Path) -> Callable[[str], bool]:
    def check(secret: str) -> bool:
        database = Database(f"sqlite:///{tmp_path / 'data' / 'danqing.db'}")
        try:
            with database.read() as conn:
                authenticate(conn, secret, now=datetime.now(UTC))
        except InvalidApiKey:
            return False
        finally:
            database.close()
        return True

    return check


def test_a_new_key_is_printed_alone_and_works(run: Run, works: Callable[[str], bool]) -> None:
    result = run("keys", "create", "--name", "laptop")
    assert result.exit_code == 0
    assert re.fullmatch(r"[0-9a-f]{32}\n", result.stdout)
    assert works(result.stdout.strip())


def test_json_is_the_key_object(run: Run, works: Callable[[str], bool]) -> None:
    key = json.loads(run("keys", "create", "--name", "laptop", "--json").stdout)
    assert works(key["key"])
    assert key["prefix"] == key["key"][:8]
    assert key["kind"] == "api"
    assert key["name"] == "laptop"
    assert key["scopes"] == ["model:image"]
    assert key["disabled"] is False
    assert key["limit"] is None
    assert key["monthly_usage"] == 0
    assert datetime.fromisoformat(key["created_at"]).tzinfo is not None
    assert key.keys() == {
        "key", "kind", "name", "disabled", "prefix", "scopes", "limit", "created_at", "updated_at", "monthly_usage",
    }  # fmt: skip


def test_the_first_command_shows_the_key_of_the_first_start_where_it_is_not_piped(
    run: Run, works: Callable[[str], bool]
) -> None:
    result = run("keys", "list")
    (secret,) = re.findall(r"[0-9a-f]{32}", result.stderr)
    assert works(secret)
    assert secret not in result.stdout
    assert not re.findall(r"[0-9a-f]{32}", run("keys", "list").output)


def test_a_management_key_has_no_scope_to_draw(run: Run) -> None:
    assert json.loads(run("keys", "create", "--name", "ops", "--management", "--json").stdout)["scopes"] == []


def test_keys_are_listed_without_their_secrets(run: Run) -> None:
    secret = run("keys", "create", "--name", "laptop").stdout.strip()
    listed = run("keys", "list").stdout
    assert secret[:8] in listed
    assert "laptop" in listed
    assert secret not in listed


def test_a_revoked_key_stops_working_and_leaves_the_list(run: Run, works: Callable[[str], bool]) -> None:
    secret = run("keys", "create", "--name", "laptop").stdout.strip()
    assert run("keys", "revoke", secret[:8]).exit_code == 0
    assert not works(secret)
    assert secret[:8] not in run("keys", "list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["revoke", "ffffffff"],
        ["create", "--name", "x" * 201],
        ["create", "--name", "x", "--account", "nobody"],
        ["create"],
    ],
)
def test_bad_input_is_said_in_one_line(run: Run, arguments: list[str]) -> None:
    result = run("keys", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.stderr
