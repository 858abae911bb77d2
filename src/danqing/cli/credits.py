"""`danqing credits`: grant, show and audit credits."""

import uuid
from dataclasses import asdict
from typing import Annotated

import typer

from danqing.cli.session import open_database
from danqing.cli.terminal import AsJson, ExitCode, notes, output, print_json

app = typer.Typer(no_args_is_help=True, help="Credits are integers; $1 is 2,000,000 and a megapixel costs 210,000.")

Account = Annotated[str, typer.Option(help="Id of the account.")]


@app.command()
def grant(
    amount: Annotated[int, typer.Argument(min=1, help="Number of credits.")], account: Account = "default"
) -> None:
    """Add credits to an account.

    Example: `danqing credits grant 10000000` adds $5.
    """
    from danqing.accounts import credits
    from danqing.first_start import utc_now

    with open_database() as database, database.write() as conn:
        grant_id = uuid.uuid4().hex
        credits.grant(conn, account_id=account, grant_id=grant_id, amount_credits=amount, now=utc_now())
        _show(credits.balance(conn, account).available_credits)


@app.command()
def balance(account: Account = "default", as_json: AsJson = False) -> None:
    """Show an account's available credits, and those that its running jobs hold.

    Example: `danqing credits balance --account design`
    """
    from danqing.accounts import credits

    with open_database() as database, database.read() as conn:
        funds = credits.balance(conn, account)
    if as_json:
        print_json({"account": account, **asdict(funds)})
        return
    _show(funds.available_credits, held_credits=funds.held_credits)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Recompute every balance from the ledger and compare the ledger with the jobs. Exit code 3 if they disagree.

    Example: `danqing credits check || echo "ledger and jobs disagree"`
    """
    from danqing.reports import audit

    with open_database() as database, database.read() as conn:
        discrepancies = audit.check(conn)
    if as_json:
        print_json(discrepancies)
    else:
        _show_discrepancies(discrepancies)
    if discrepancies:
        raise typer.Exit(ExitCode.LEDGER_WRONG)


def _show_discrepancies(discrepancies: list[str]) -> None:
    for discrepancy in discrepancies:
        output.print(discrepancy, markup=False, soft_wrap=True)
    if discrepancies:
        notes.print(f"[bold red]{len(discrepancies)} discrepancies[/]")
    else:
        output.print("Ledger and jobs agree.")


def _show(available_credits: int, *, held_credits: int = 0) -> None:
    from danqing.accounts.pricing import usd_from_credits

    held = f", {held_credits:,} more held by running jobs" if held_credits else ""
    output.print(f"{available_credits:,} credits (${usd_from_credits(available_credits):,.2f}){held}")
