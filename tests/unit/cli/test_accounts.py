"""Accounts on the command line: opened, listed, and the secret that signs their webhooks."""

import base64
from collections.abc import Callable

from typer.testing import Result

Run = Callable[..., Result]


def test_each_account_has_a_webhook_secret_of_its_own_that_stays(run: Run) -> None:
    assert run("accounts", "create", "design", "--name", "Design team").exit_code == 0
    first, again = (run("accounts", "webhook-secret").stdout.strip() for _ in range(2))
    design = run("accounts", "webhook-secret", "--account", "design").stdout.strip()
    assert first == again != design
    for secret in (first, design):
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 24


def test_an_account_that_does_not_exist_has_none(run: Run) -> None:
    result = run("accounts", "webhook-secret", "--account", "nobody")
    assert result.exit_code == 2
    assert "nobody" in result.stderr


def test_accounts_are_listed_with_their_balances(run: Run) -> None:
    run("accounts", "create", "design", "--name", "Design team")
    run("credits", "grant", "210000", "--account", "design")
    row = next(line for line in run("accounts", "list").stdout.splitlines() if "design" in line)
    assert "Design team" in row
    assert "210,000" in row
