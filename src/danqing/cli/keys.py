"""`danqing keys`: create, list and revoke keys. A key is shown once, when it is created."""

from typing import Annotated

import typer
from rich.table import Table

from danqing.cli.session import open_database
from danqing.cli.terminal import AsJson, literal, notes, output, print_json

app = typer.Typer(no_args_is_help=True, help="API keys draw; management keys administer keys and money over HTTP.")

Account = Annotated[str, typer.Option(help="Id of the account.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Name that says what the key is for.")],
    account: Account = "default",
    management: Annotated[bool, typer.Option("--management", help="Create a management key; it cannot draw.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it. It is never shown again.

    Example: `danqing keys create --name laptop`
    """
    from danqing.accounts.api_keys import KeyKind, create_key
    from danqing.accounts.credits import balance
    from danqing.first_start import utc_now

    kind = KeyKind.MANAGEMENT if management else KeyKind.API
    with open_database() as database, database.write() as conn:
        balance(conn, account)  # Raises NotFound for an account that does not exist.
        created = create_key(conn, account_id=account, name=name, now=utc_now(), kind=kind)
    if as_json:
        from danqing.api.key_bodies import key_fields

        print_json({**key_fields(created.api_key).model_dump(mode="json"), "key": created.secret})
        return
    output.print(created.secret)
    notes.print("[dim]Keep it: only its hash is stored.[/]")


@app.command("list")
def list_(account: Account = "default", as_json: AsJson = False) -> None:
    """List an account's keys.

    Example: `danqing keys list --account design --json`
    """
    from danqing.accounts.api_keys import list_keys
    from danqing.accounts.credits import balance
    from danqing.first_start import utc_now

    with open_database() as database, database.read() as conn:
        balance(conn, account)  # Raises NotFound for an account that does not exist.
        keys = list_keys(conn, account_id=account, now=utc_now())
    if as_json:
        from danqing.api.key_bodies import key_fields

        print_json([key_fields(key).model_dump(mode="json") for key in keys])
        return
    table = Table("prefix", "name", "kind", "state", "limit", "spent this month", "since")
    for key in keys:
        table.add_row(
            key.prefix,
            literal(key.name),
            key.kind.value,
            "disabled" if key.disabled else "active",
            f"${key.limit.threshold_usd} ({key.limit.retention})" if key.limit else "none",
            f"${key.monthly_usage_usd:.2f}",
            f"{key.created_at:%Y-%m-%d}",
        )
    output.print(table)


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="The key's first eight digits, as `danqing keys list` shows them.")],
    account: Account = "default",
) -> None:
    """Revoke a key permanently.

    Example: `danqing keys revoke 0a1b2c3d`
    """
    from danqing.accounts.api_keys import revoke_key
    from danqing.first_start import utc_now

    with open_database() as database, database.write() as conn:
        revoke_key(conn, prefix, account_id=account, now=utc_now())
    output.print(f"Revoked {prefix}.")
