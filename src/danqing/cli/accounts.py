"""`danqing accounts`: create and list accounts, show their webhook secrets."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from danqing.cli.session import open_database
from danqing.cli.terminal import AsJson, literal, output, print_json

app = typer.Typer(no_args_is_help=True, help="Accounts own keys, credits and jobs; the first start creates `default`.")


@app.command()
def create(
    account: Annotated[str, typer.Argument(help="Id of the account: letters, digits, dots, dashes, underscores.")],
    name: Annotated[str, typer.Option(help="Display name.")],
) -> None:
    """Create an account without credits.

    Example: `danqing accounts create design --name "Design team"`
    """
    from danqing.accounts.accounts import create_account
    from danqing.first_start import utc_now

    with open_database() as database, database.write() as conn:
        create_account(conn, account, name=name, now=utc_now())
    output.print(f"Created account {account}. Next: danqing credits grant 10000000 --account {account}", soft_wrap=True)


@app.command("webhook-secret")
def webhook_secret(account: Annotated[str, typer.Option(help="Id of the account.")] = "default") -> None:
    """Show the secret that signs an account's webhooks, in the format of Standard Webhooks libraries.

    Example: `danqing accounts webhook-secret --account design`
    """
    from danqing.accounts import accounts

    with open_database() as database, database.read() as conn:
        output.print(accounts.webhook_secret(conn, account), markup=False, soft_wrap=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the accounts with their balances.

    Example: `danqing accounts list --json`
    """
    from danqing.accounts.accounts import list_accounts
    from danqing.accounts.credits import balance

    with open_database() as database, database.read() as conn:
        rows = [(account, balance(conn, account.id)) for account in list_accounts(conn)]
    if as_json:
        print_json([{**asdict(account), **asdict(funds)} for account, funds in rows])
        return
    table = Table("account", "name", "available", "held", "since")
    for account, funds in rows:
        table.add_row(
            account.id,
            literal(account.name),
            f"{funds.available_credits:,}",
            f"{funds.held_credits:,}",
            f"{account.created_at:%Y-%m-%d}",
        )
    output.print(table)
