"""The options of an engine process: its command line carries them from the server's settings to the painter."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from danqing.child_process import child_command


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What to load and how to read prompts. None leaves the choice to the device or to the checkpoint.

    `model` is the checkpoint folder, the two memories are bytes. `system_prompt` is a published name or `custom`,
    `expansion_task` what an expansion writes. With a `kernel_folder` the network's regions are compiled and
    their kernels kept there.
    """

    model: Path
    device: str
    precision: str | None = None
    device_memory: int | None = None
    host_memory: int | None = None
    system_prompt: str | None = None
    system_prompt_text: str | None = None
    expansion_task: str | None = None
    kernel_folder: Path | None = None


def worker_command(options: WorkerOptions) -> list[str]:
    """Return the command of an engine process."""
    given = ((field.name, getattr(options, field.name)) for field in fields(options))
    # With `=`, because a text may begin with a dash.
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given if value is not None]
    return child_command("danqing.engine.worker", *flags)


def read_options(arguments: Sequence[str] | None = None) -> WorkerOptions:
    """Read the command line of an engine process, this one's without `arguments`."""
    parser = argparse.ArgumentParser(prog="danqing.engine.worker", allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--kernel-folder", type=Path)
    for name in ("device-memory", "host-memory"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("precision", "system-prompt", "system-prompt-text", "expansion-task"):
        parser.add_argument(f"--{name}")
    return WorkerOptions(**vars(parser.parse_args(arguments)))
