"""`danqing doctor`: a report of what this machine can run, and why. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.table import Table

from danqing.cli.placement import plan_json, plan_rows
from danqing.cli.session import wrong_settings
from danqing.cli.terminal import AsJson, ExitCode, literal, output, print_json

if TYPE_CHECKING:
    from danqing.cli.machine import Device, Folder, Processor
    from danqing.hunyuan_image3.placement.estimate import Estimate
    from danqing.hunyuan_image3.placement.plan import Machine, Plan
    from danqing.settings import Settings

PUBLISHED_NAME = "HunyuanImage-3.0 (80 B)"
LEAST_FREE_BYTES = 2**30
NO_DEVICE = "its device is missing"
DRAWN_ELSEWHERE = "DANQING_ENGINE is {engine}: other machines draw, and their devices and model are not judged here."


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Whether a plan places a checkpoint at a precision, and on which devices; `why_not` is empty if one does.

    `needed_bytes` is what the devices hold; `moved_bytes` come from host memory and disk in each step.
    """

    checkpoint: str
    precision: str
    needed_bytes: int
    moved_bytes: int
    device: str | None
    why_not: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The whole report. Without problems, a server with these settings can draw."""

    processor: Processor
    devices: list[Device]
    data_folder: Folder | None
    precision: str
    precision_reason: str
    fits: list[Fit]
    plans: list[Estimate]
    remarks: list[str]
    problems: list[str]


def doctor(as_json: AsJson = False) -> None:
    """Report what this machine can run and why, with the current `DANQING_*` settings.

    Also looks for everything that would keep a server from starting: settings, folders, database, port, model,
    libraries. Exit code 1 if there is a problem.

    Example: `DANQING_MODEL=~/models/HunyuanImage-3.0 danqing doctor`
    """
    from pydantic import ValidationError

    from danqing.cli import machine
    from danqing.cli.checks import remarks, setup_problems
    from danqing.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        _show_wrong_settings(wrong_settings(error), as_json=as_json)
    diagnosis = diagnose(
        settings,
        processor=machine.processor(),
        devices=machine.devices(),
        found=setup_problems(settings, os.environ),
        remarks=remarks(os.environ),
    )
    if as_json:
        print_json({**asdict(diagnosis), "plans": plan_json(diagnosis.plans)})
    else:
        _show(diagnosis)
    if diagnosis.problems:
        raise typer.Exit(ExitCode.FAILED)


def _show_wrong_settings(problems: list[str], *, as_json: bool) -> NoReturn:
    """With settings that cannot be read, nothing else can be judged."""
    if as_json:
        print_json({"problems": problems})
    else:
        _show_problems(problems)
    raise typer.Exit(ExitCode.FAILED)


def diagnose(
    settings: Settings,
    *,
    processor: Processor,
    devices: list[Device],
    found: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> Diagnosis:
    """Compare the machine with what the settings and the published weights ask of it; the last device is the CPU.

    `found` are the problems known already.
    """
    from danqing.cli import machine
    from danqing.engines import BUNDLED_CHECKPOINT

    data_folder = machine.folder(settings.data_folder) if settings.data_dir and settings.needs_data_folder else None
    problems = [*found, *_folder_problems(data_folder)]
    chosen = _chosen(settings.device, devices)
    device = chosen[0] if chosen else None
    # Other machines draw otherwise, and nothing of this one can keep them from it.
    draws_here = settings.engine == "local"
    if device is None and draws_here:
        problems.append(f"DANQING_DEVICE is {settings.device}, and {machine.no_gpu_because()}")
    there = _machine(settings, chosen, devices[-1])
    plans: list[Estimate] = []
    # If the configured device is missing, report the processor's precision.
    precision = settings.precision or (device or devices[-1]).precision
    if draws_here and precision == "fp8" and device is not None and not device.fp8:
        problems.append(f"DANQING_PRECISION is fp8, and {device.name} ({device.description}) has no fp8 products")
    fits: list[Fit] = []
    if draws_here:
        fits += [_published(each, chosen, there) for each in dict.fromkeys([precision, "fp8", "int4"])]
        try:
            own, plans = _own(settings.model or BUNDLED_CHECKPOINT, precision, there)
        except ValueError as error:
            problems.append(str(error))
        else:
            fits.insert(0, own)
            if device is not None and own.why_not:
                problems.append(f"{own.checkpoint}: {own.why_not}")
    return Diagnosis(
        processor=processor,
        devices=devices,
        data_folder=data_folder,
        precision=precision,
        precision_reason=_precision_reason(settings, precision, (device or devices[-1]).name, processor),
        fits=fits,
        plans=plans,
        remarks=[*remarks, *([] if draws_here else [DRAWN_ELSEWHERE.format(engine=settings.engine)])],
        problems=problems,
    )


def _folder_problems(folder: Folder | None) -> list[str]:
    if folder is None:
        return []
    if not folder.writable:
        return [f"DANQING_DATA_DIR: the folder {folder.path} cannot be written by this user; set another"]
    if folder.free_bytes < LEAST_FREE_BYTES:
        return [f"only {_size(folder.free_bytes)} are free for {folder.path}"]
    return []


def _chosen(setting: str, devices: list[Device]) -> list[Device]:
    """The devices of DANQING_DEVICE; empty if one of them is not there."""
    by_name = {device.name: device for device in devices}
    names = ["cuda:0" if name.strip() == "cuda" else name.strip() for name in setting.split(",")]
    return [by_name[name] for name in names] if all(name in by_name for name in names) else []


def _machine(settings: Settings, chosen: list[Device], cpu: Device) -> Machine:
    from danqing.hunyuan_image3.placement.machine import usable
    from danqing.hunyuan_image3.placement.plan import DeviceMemory, Machine

    host_bytes = usable(cpu.memory_bytes, settings.host_memory)
    return Machine(
        devices=[
            DeviceMemory(
                name=device.name,
                memory_bytes=min(usable(device.memory_bytes, settings.device_memory), host_bytes)
                if device.name == "cpu"
                else usable(device.memory_bytes, settings.device_memory),
            )
            for device in chosen
        ],
        host_bytes=host_bytes,
    )


def _own(checkpoint: Path, precision: str, there: Machine) -> tuple[Fit, list[Estimate]]:
    """Check the configured checkpoint and plan it in every precision. Raises CheckpointError, a ValueError."""
    from danqing.hunyuan_image3.checkpoint_folder import checkpoint_name
    from danqing.hunyuan_image3.errors import PlacementError
    from danqing.hunyuan_image3.placement.estimate import estimates
    from danqing.hunyuan_image3.placement.fitting import plan_folder
    from danqing.hunyuan_image3.precision import Precision
    from danqing.hunyuan_image3.summary import summarise

    name = checkpoint_name(checkpoint)
    summary = summarise(checkpoint)
    # A converted checkpoint is drawn as it is stored.
    precision = summary.converted_to or precision
    if not there.devices:
        return _unfit(name, precision, NO_DEVICE), []
    plans = list(estimates(summary.config, there))
    try:
        plan = plan_folder(checkpoint, summary.config, Precision(precision), there)
    except PlacementError as error:
        return _unfit(name, precision, str(error)), plans
    return _fit(name, precision, plan), plans


def _published(precision: str, chosen: list[Device], there: Machine) -> Fit:
    from danqing.hunyuan_image3.config import parse_model_config
    from danqing.hunyuan_image3.placement.estimate import estimate
    from danqing.hunyuan_image3.precision import Precision
    from danqing.hunyuan_image3.published import PUBLISHED

    if not chosen:
        return _unfit(PUBLISHED_NAME, precision, NO_DEVICE)
    unable = [device.name for device in chosen if precision == "fp8" and not device.fp8]
    if unable:
        return _unfit(PUBLISHED_NAME, precision, f"{unable[0]} has no fp8 products")
    planned = estimate(parse_model_config(PUBLISHED), Precision(precision), there)
    if planned.plan is None:
        return _unfit(PUBLISHED_NAME, precision, planned.why_not)
    return _fit(PUBLISHED_NAME, precision, planned.plan)


def _fit(checkpoint: str, precision: str, plan: Plan) -> Fit:
    return Fit(
        checkpoint=checkpoint,
        precision=precision,
        needed_bytes=sum(device.used_bytes for device in plan.devices),
        moved_bytes=plan.host_bytes_moved + plan.disk_bytes_moved,
        device=", ".join(device.name for device in plan.devices),
        why_not="",
    )


def _unfit(checkpoint: str, precision: str, why_not: str) -> Fit:
    return Fit(checkpoint=checkpoint, precision=precision, needed_bytes=0, moved_bytes=0, device=None, why_not=why_not)


def _precision_reason(settings: Settings, precision: str, device: str, processor: Processor) -> str:
    if settings.precision is not None:
        return "set by DANQING_PRECISION"
    native = ", ".join(name for name in processor.features if "bf16" in name)
    if device == "cpu" and precision == "bfloat16":
        return f"the processor multiplies it natively ({native})"
    return f"{device} multiplies {'it natively' if precision == 'bfloat16' else 'bfloat16 only by emulation'}"


def _show(diagnosis: Diagnosis) -> None:
    from danqing.cli.machine import no_gpu_because

    processor, folder = diagnosis.processor, diagnosis.data_folder
    *gpus, cpu = diagnosis.devices
    rows: dict[str, Any] = {
        "processor": f"{processor.name}: {processor.num_threads} threads on {processor.num_cores} cores",
        "features": ", ".join(processor.features) or "none that matter",
        "precision": f"{diagnosis.precision}: {diagnosis.precision_reason}",
        "memory": _size(cpu.memory_bytes),
        "GPU": "\n".join(f"{gpu.name}: {gpu.description}, {_size(gpu.memory_bytes)}" for gpu in gpus)
        or f"none: {no_gpu_because()}",
        "data folder": "none" if folder is None else _described(folder),
    }
    rows |= {f"{fit.checkpoint}, {fit.precision}": _verdict(fit) for fit in diagnosis.fits}
    if diagnosis.plans:
        rows |= plan_rows(diagnosis.plans)
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(literal(name), value)
    output.print(table)
    for remark in diagnosis.remarks:
        output.print(literal(remark), soft_wrap=True)
    _show_problems(diagnosis.problems)
    if not diagnosis.problems:
        output.print("[bold green]This machine can serve.[/] Start with: danqing serve")


def _show_problems(problems: list[str]) -> None:
    for problem in problems:
        output.print(f"[bold red]problem:[/] {literal(problem)}", soft_wrap=True)


def _described(folder: Folder) -> str:
    free = f"{_size(folder.free_bytes)} free"
    return f"{literal(str(folder.path))}{'' if folder.exists else ' (not created yet)'}, {free}"


def _verdict(fit: Fit) -> str:
    if fit.device is None:
        return f"[yellow]no:[/] {literal(fit.why_not)}"
    slowly = ", minutes a step" if (fit.checkpoint, fit.device) == (PUBLISHED_NAME, "cpu") else ""
    moved = f" and moves {_size(fit.moved_bytes)} a step" if fit.moved_bytes else ""
    return f"[green]fits[/] on {fit.device}{slowly} (needs {_size(fit.needed_bytes)}{moved})"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.0f} GB" if num_bytes >= 1e10 else f"{num_bytes / 1e9:,.1f} GB"
