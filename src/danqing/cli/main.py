"""The `danqing` command: its subcommands, and expected errors as one line of text and an exit code.

Imports only light modules, so that `danqing --help` is fast.
"""

import os
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from danqing.cli import accounts, credits, doctor, generate, keys, model, ray, serve
from danqing.cli.environment import drop_empty_variables
from danqing.cli.terminal import ExitCode, accept_any_text, fail, output


class Commands(TyperGroup):
    """A group of commands that prints expected errors without a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare streams and environment, and run the command line."""
        accept_any_text()
        drop_empty_variables(os.environ)
        return super().main(*args, **kwargs)

    # Depending on Typer's version, its context is click's or a copy of it.
    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Run the chosen command."""
        from danqing.errors import InvalidRequest, NotFound, OperatorError, ServiceError, SettingError

        try:
            return super().invoke(*args, **kwargs)
        except (InvalidRequest, NotFound, SettingError) as error:
            fail(str(error), code=ExitCode.BAD_INPUT)
        except UnicodeEncodeError:
            # Only arguments are left: bytes that are not UTF-8 arrive as lone surrogates.
            fail("arguments must be valid Unicode, in UTF-8", code=ExitCode.BAD_INPUT)
        except (ServiceError, OperatorError, OSError) as error:
            fail(str(error))


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Danqing: a self-hosted HunyuanImage-3.0 service.\n\nStart with `danqing serve`, or draw at once: "
    '`danqing generate "a red fox in the snow"`.\n\nSettings come from `DANQING_*` variables; '
    "`DANQING_DATA_DIR` is the folder that holds all data.",
    epilog="Exit codes: 0 done, 1 failed, 2 bad input, 3 the ledger is wrong, 4 the engine failed.",
)


def _print_version(asked: bool) -> None:
    if asked:
        output.print(f"danqing {version('danqing')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Read the options that come before a command."""


app.command("serve")(serve.serve)
app.command("generate")(generate.generate)
app.command("doctor")(doctor.doctor)
app.add_typer(keys.app, name="keys")
app.add_typer(credits.app, name="credits")
app.add_typer(accounts.app, name="accounts")
app.add_typer(model.app, name="model")
app.add_typer(ray.app, name="ray")
