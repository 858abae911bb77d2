"""`danqing model convert`: a checkpoint with its experts rounded to int8, int4 or fp8, in a new folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from danqing.cli.terminal import AsJson, ExitCode, fail, literal, notes, output, path_argument, print_json

if TYPE_CHECKING:
    from danqing.hunyuan_image3.conversion import Progress


def convert(
    source: Annotated[
        Path,
        typer.Argument(parser=path_argument, metavar="SRC", help="The checkpoint folder to read.", show_default=False),
    ],
    target: Annotated[
        Path, typer.Argument(parser=path_argument, metavar="DST", help="The new folder.", show_default=False)
    ],
    precision: Annotated[
        Literal["int8", "int4", "fp8"], typer.Option(help="What the routed experts are rounded to.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Convert a checkpoint to a smaller precision.

    Needs the memory of one tensor. After an interruption, the same command goes on where it stopped. At the end every
    file is read again and checked; `danqing model info DST --verify` repeats this check later.

    Example: `danqing model convert ~/models/distil ~/models/distil-int4 --precision int4`
    """
    from danqing.hunyuan_image3.conversion import Conversion
    from danqing.hunyuan_image3.precision import Precision
    from danqing.hunyuan_image3.summary import summarise

    with _errors(), _bar() as on_progress:
        Conversion(source, target, Precision(precision), on_progress).run()
        summary = summarise(target)
    size = {"num_files": summary.num_files, "size_bytes": summary.size_bytes}
    if as_json:
        print_json({"folder": target, "precision": precision, **size})
        return
    output.print(
        f"{literal(str(target))}: {precision}, {summary.size_bytes / 1e9:,.2f} GB, every tensor and checksum is right",
        soft_wrap=True,
    )
    output.print(f"DANQING_MODEL={literal(str(target))} danqing serve", soft_wrap=True)


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=notes, transient=True) as bar:
        tasks = {False: bar.add_task("Converting", total=None)}

        def on_progress(progress: Progress) -> None:
            if progress.checking not in tasks:
                tasks[progress.checking] = bar.add_task("Checking every file", total=None)
            bar.update(tasks[progress.checking], completed=progress.done_bytes, total=progress.total_bytes)

        yield on_progress


@contextmanager
def _errors() -> Iterator[None]:
    from danqing.hunyuan_image3.errors import CheckpointError, ConversionError

    try:
        yield
    except CheckpointError as error:
        fail(str(error), code=ExitCode.BAD_INPUT)
    except ConversionError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'the new folder'}: {error.strerror}; the same command goes on from here")
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on from here")
