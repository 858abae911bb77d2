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
    from danqing.hunyuan_image3.placement.plan import Machine
    from danqing.settings import Settings

# A generous allowance beside the weights: PyTorch itself, and the latents, keys, values and activations of an image. At
# the published size we measured 9 % of the weights (benchmarks/full_size.py).
PROCESS_BYTES = 1_000_000_000
ACTIVATIONS_SHARE = 0.1
# The published weights without those for image understanding, which are never loaded.
PUBLISHED_NAME = "HunyuanImage-3.0 (80 B)"
PUBLISHED_PARAMETERS = 82_600_000_000
PUBLISHED_EXPERT_PARAMETERS = 77_300_000_000
# For a parameter of a routed expert, and for any other parameter.
# Scales and offsets of int4 take half a bit.
BYTES_PER_PARAMETER = {"float32": (4, 4), "bfloat16": (2, 2), "fp8": (1, 2), "int8": (1, 2), "int4": (0.5625, 2)}
LEAST_FREE_BYTES = 2**30
DRAWN_ELSEWHERE = "DANQING_ENGINE is {engine}: other machines draw, and their devices and model are not judged here."


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Whether a checkpoint fits at a precision, and on which device; `why_not` is empty if it fits.

    The configured checkpoint may be spread over memory and disk by a plan; the published weights are judged as a whole
    on one device.
    """

    checkpoint: str
    precision: str
    needed_bytes: int
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
    fits = [_published(each, devices) for each in dict.fromkeys([precision, "fp8", "int4"])]
    if draws_here:
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
        weights_bytes = _weights_bytes(summary.num_parameters, summary.num_expert_parameters, precision)
        return _fit(name, precision, weights_bytes, [], why_never="its device is missing"), []
    plans = list(estimates(summary.config, there))
    try:
        plan = plan_folder(checkpoint, summary.config, Precision(precision), there)
    except PlacementError as error:
        return Fit(checkpoint=name, precision=precision, needed_bytes=0, device=None, why_not=str(error)), plans
    needed_bytes = sum(device.used_bytes for device in plan.devices)
    devices = ", ".join(device.name for device in plan.devices)
    return Fit(checkpoint=name, precision=precision, needed_bytes=needed_bytes, device=devices, why_not=""), plans


def _published(precision: str, devices: list[Device]) -> Fit:
    weights_bytes = _weights_bytes(PUBLISHED_PARAMETERS, PUBLISHED_EXPERT_PARAMETERS, precision)
    able = [device for device in devices if device.fp8 or precision != "fp8"]
    return _fit(PUBLISHED_NAME, precision, weights_bytes, able)


def _weights_bytes(num_parameters: int, num_expert_parameters: int, precision: str) -> int:
    expert, other = BYTES_PER_PARAMETER[precision]
    return int(expert * num_expert_parameters + other * (num_parameters - num_expert_parameters))


def _fit(
    checkpoint: str, precision: str, weights_bytes: int, devices: list[Device], *, why_never: str | None = None
) -> Fit:
    needed_bytes = PROCESS_BYTES + int(weights_bytes * (1 + ACTIVATIONS_SHARE))
    fitting = next((device for device in devices if device.memory_bytes >= needed_bytes), None)
    why_not = why_never or ""
    if fitting is None and not why_not:
        largest = max(devices, key=lambda device: device.memory_bytes)
        why_not = f"needs {_size(needed_bytes)} on one device, {largest.name} has {_size(largest.memory_bytes)}"
    name = None if fitting is None or why_not else fitting.name
    return Fit(checkpoint=checkpoint, precision=precision, needed_bytes=needed_bytes, device=name, why_not=why_not)


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
    return f"[green]fits[/] on {fit.device}{slowly} (needs {_size(fit.needed_bytes)})"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.0f} GB" if num_bytes >= 1e10 else f"{num_bytes / 1e9:,.1f} GB"
