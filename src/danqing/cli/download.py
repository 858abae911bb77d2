"""`danqing model download`: a published checkpoint from the model hub, checked file by file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from danqing.cli.session import read_settings
from danqing.cli.terminal import AsJson, ExitCode, fail, literal, notes, output, path_argument, print_json

if TYPE_CHECKING:
    from danqing.hub import Repository


def download(
    name: Annotated[
        str,
        typer.Argument(help="base, instruct, instruct-distil, or a repository's id OWNER/NAME.", show_default=False),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            parser=path_argument,
            metavar="FOLDER",
            help="Folder to download into. [default: models/NAME in the data folder]",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Download without being asked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download a checkpoint from the model hub, and check every file.

    Shows licence and size first. After an interruption, the same command downloads the files that are still missing.
    `HF_ENDPOINT` names another hub, `HF_TOKEN` is your token there.

    Example: `danqing model download instruct-distil --to ~/models/distil`
    """
    _require_extra()
    with _hub_errors():
        repository, folder = _download(name, to, ask=not yes)
    if as_json:
        described = {"repository": repository.id, "revision": repository.revision, "licence": repository.licence}
        size = {"num_files": len(repository.files), "size_bytes": repository.size_bytes}
        print_json({**described, "folder": folder, **size})
        return
    output.print(f"{literal(str(folder))}: all {len(repository.files)} files are there and right", soft_wrap=True)
    output.print(f"DANQING_MODEL={literal(str(folder))} danqing serve", soft_wrap=True)


def _require_extra() -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        fail("this command needs the extra `download`: pip install 'danqing[download]'")


def _download(name: str, to: Path | None, *, ask: bool) -> tuple[Repository, Path]:
    from danqing import hub

    repository = hub.find_repository(_repository_id(name, hub.PUBLISHED))
    folder = to or read_settings().data_folder / "models" / repository.name
    num_missing, num_free = hub.missing_bytes(repository, folder), hub.free_bytes(folder)
    _introduce(repository, folder, num_missing=num_missing)
    if num_missing > num_free:
        fail(f"{folder}: {_amount(num_missing)} are needed and {_amount(num_free)} are free")
    if num_missing:
        if ask:
            _ask()
        hub.download(repository, folder, show_progress=notes.is_terminal)
    _check(repository, folder)
    return repository, folder


def _repository_id(name: str, published: Mapping[str, str]) -> str:
    if "/" in name:
        return name
    if name not in published:
        fail(
            f"{name}: is none of {', '.join(published)}; any other repository has an id OWNER/NAME",
            code=ExitCode.BAD_INPUT,
        )
    return published[name]


def _introduce(repository: Repository, folder: Path, *, num_missing: int) -> None:
    notes.print(f"{literal(repository.id)} at {repository.revision[:8]}", soft_wrap=True)
    notes.print(f"licence: {literal(repository.licence)}", soft_wrap=True)
    size = f"{_amount(repository.size_bytes)} in {len(repository.files)} files"
    left = "" if num_missing == repository.size_bytes else f", of which {_amount(num_missing)} are missing"
    notes.print(f"size: {size}{left}")
    notes.print(f"into: {literal(str(folder))}", soft_wrap=True)


def _ask() -> None:
    try:
        wanted = typer.confirm("Download it under this licence?", err=True)
    except typer.Abort:
        fail("nobody answered; --yes downloads without being asked", code=ExitCode.BAD_INPUT)
    if not wanted:
        raise typer.Exit(ExitCode.FAILED)


def _check(repository: Repository, folder: Path) -> None:
    from danqing import hub

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True) as bar:
        task = bar.add_task("Checking every file", total=repository.size_bytes)
        hub.check(repository, folder, on_read=lambda num_bytes: bar.advance(task, num_bytes))


@contextmanager
def _hub_errors() -> Iterator[None]:
    from danqing.hub import HubError

    try:
        yield
    except HubError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; the same command downloads the rest")


def _amount(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:,.1f} MB"
