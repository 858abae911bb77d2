"""`danqing model`: checkpoint folders, described, downloaded and converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from danqing.cli.convert import convert
from danqing.cli.download import download
from danqing.cli.placement import plan_json, plan_rows, supposed_machine
from danqing.cli.session import read_settings
from danqing.cli.terminal import AsJson, ExitCode, fail, literal, notes, output, path_argument, print_json
from danqing.memory_size import memory_size

if TYPE_CHECKING:
    from danqing.hunyuan_image3.config import ModelConfig
    from danqing.hunyuan_image3.generation_config import GenerationConfig
    from danqing.hunyuan_image3.summary import CheckpointSummary
    from danqing.pictures.checkpoint_profile import CheckpointProfile

app = typer.Typer(no_args_is_help=True, help="Checkpoints: folders in the published HunyuanImage-3.0 layout.")
app.command()(download)
app.command()(convert)

_TYPE_NAMES = {
    "BF16": "bfloat16",
    "F32": "float32",
    "F16": "float16",
    "F8_E4M3": "fp8",
    "I8": "int8",
    "INT4": "int4",
}


def _memory_size(value: str) -> int:
    try:
        return memory_size(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def info(
    folder: Annotated[
        Path,
        typer.Argument(parser=path_argument, metavar="FOLDER", help="The checkpoint folder.", show_default=False),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Also read every file of a converted checkpoint and compare its checksum.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show instead what each precision would keep where; reads config.json alone.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="Of the plan: devices, as in DANQING_DEVICE.")] = None,
    device_memory: Annotated[
        int | None, typer.Option(parser=_memory_size, metavar="SIZE", help="Of the plan: memory of each device.")
    ] = None,
    host_memory: Annotated[
        int | None, typer.Option(parser=_memory_size, metavar="SIZE", help="Of the plan: host memory.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check and describe a checkpoint from its headers, without reading a weight.

    `--plan` with both memories describes a machine that need not be this one. Exit code 2 if the folder is missing or
    cannot be loaded.

    Example: `danqing model info ~/models/HunyuanImage-3.0`
    Example: `danqing model info ~/models/distil --plan --device cuda --device-memory 24GB --host-memory 64GB`
    """
    if plan:
        _show_plan(folder, device=device, device_memory=device_memory, host_memory=host_memory, as_json=as_json)
        return
    if device or device_memory or host_memory:
        fail("--device, --device-memory and --host-memory belong to --plan", code=ExitCode.BAD_INPUT)
    from danqing.engines import profile_of
    from danqing.hunyuan_image3 import checksums
    from danqing.hunyuan_image3.errors import CheckpointError
    from danqing.hunyuan_image3.summary import summarise

    try:
        summary = summarise(folder)
        if verify:
            num_files = checksums.verify(folder)
            notes.print(f"all {num_files} files are as they were written")
    except CheckpointError as error:
        fail(str(error), code=ExitCode.BAD_INPUT)
    profile = profile_of(summary.facts, read_settings())
    if as_json:
        # `asdict` cannot copy a Counter.
        described = asdict(replace(summary, stored_parameters=dict(summary.stored_parameters)))
        print_json({**described, "request_defaults": profile.defaults})
        return
    output.print(_table(folder, summary, profile))


def _show_plan(
    folder: Path, *, device: str | None, device_memory: int | None, host_memory: int | None, as_json: bool
) -> None:
    from danqing.hunyuan_image3.checkpoint_folder import CONFIG_FILE, check_folder
    from danqing.hunyuan_image3.config import parse_model_config
    from danqing.hunyuan_image3.errors import CheckpointError, UnsupportedDevice
    from danqing.hunyuan_image3.json_fields import read_json
    from danqing.hunyuan_image3.placement.estimate import estimates
    from danqing.hunyuan_image3.placement.machine import machine

    settings = read_settings()
    device = device or settings.device
    try:
        check_folder(folder)
        config = parse_model_config(read_json(folder / CONFIG_FILE))
        if device_memory and host_memory:
            there = supposed_machine(device, device_memory=device_memory, host_memory=host_memory)
        else:
            there = machine(
                device,
                device_memory=device_memory or settings.device_memory,
                host_memory=host_memory or settings.host_memory,
            )
    except (CheckpointError, UnsupportedDevice) as error:
        fail(str(error), code=ExitCode.BAD_INPUT)
    found = list(estimates(config, there))
    if as_json:
        print_json({"folder": folder, "plans": plan_json(found)})
        return
    output.print(_grid(plan_rows(found)))


def _table(folder: Path, summary: CheckpointSummary, profile: CheckpointProfile) -> Table:
    config, generation = summary.config, summary.generation
    sizes = ", ".join(f"{bucket.width_px}x{bucket.height_px}" for bucket in summary.buckets)
    rows = {
        "checkpoint": literal(str(folder)),
        "architecture": _architecture(config),
        "parameters": f"{summary.num_parameters:,} ({summary.num_active_parameters:,} act on a token)",
        "stored as": ", ".join(
            f"{_TYPE_NAMES.get(name, name)} ({count:,})" for name, count in sorted(summary.stored_parameters.items())
        ),
        "converted to": summary.converted_to or "as published",
        "on disk": f"{summary.size_bytes / 2**20:,.1f} MiB in {summary.num_files} file{'s'[: summary.num_files != 1]}",
        "autoencoder": f"{config.vae.latent_channels} channels, 1/{config.vae.spatial_factor} of each side",
        "template": generation.template,
        "prompt expansion": _expansion(generation),
        "guidance": "distilled: one branch, no negative prompt" if summary.facts.distilled else "two branches",
        "its own defaults": f"{generation.num_steps} steps, guidance {_guidance(generation)}",
        "request defaults": f"{profile.num_inference_steps} steps, guidance {profile.guidance_scale:g}",
        f"{len(summary.buckets)} buckets": f"{sizes} (width x height)",
    }
    return _grid(rows)


def _grid(rows: Mapping[str, str]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _guidance(generation: GenerationConfig) -> str:
    above = f" above noise {generation.guidance_min_sigma:g}" if generation.guidance_min_sigma else ""
    bound = f", its push at most {generation.guidance_max_push:g}" if generation.guidance_max_push else ""
    return f"{generation.guidance_scale:g}{above}{bound}"


def _expansion(generation: GenerationConfig) -> str:
    if not generation.expands:
        return "not learned"
    sampling = generation.sampling
    words = "the likeliest words"
    if sampling.temperature > 0:
        words = f"sampled: temperature {sampling.temperature:g}, top k {sampling.top_k}, top p {sampling.top_p:g}"
    return f"native by {generation.text_task}, {words}"


def _architecture(config: ModelConfig) -> str:
    experts = {layer.num_experts for layer in config.layers if layer.num_experts}
    top_k = {layer.num_experts_per_token for layer in config.layers if layer.num_experts}
    mixture = f", {_span(experts)} experts (top {_span(top_k)})" if experts else ""
    heads = f"{config.num_query_heads} query and {config.num_kv_heads} key-value heads of {config.head_size}"
    layers = f"{len(config.layers)} layers, hidden {config.hidden_size}"
    return f"HunyuanImage-3.0: {layers}, {heads}{mixture}, patch {config.patch_size}"


def _span(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
