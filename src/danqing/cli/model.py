"""`danqing model`: checkpoint folders, described, downloaded and converted."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from danqing.cli.convert import convert
from danqing.cli.download import download
from danqing.cli.session import read_settings
from danqing.cli.terminal import AsJson, ExitCode, fail, notes, output, path_argument, print_json

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


@app.command()
def info(
    folder: Annotated[
        Path,
        typer.Argument(parser=path_argument, metavar="FOLDER", help="The checkpoint folder.", show_default=False),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Also read every file of a converted checkpoint and compare its checksum.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check and describe a checkpoint from its headers, without reading a weight.

    Exit code 2 if the folder is missing or cannot be loaded.

    Example: `danqing model info ~/models/HunyuanImage-3.0`
    """
    from danqing.app import profile_of
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


def _table(folder: Path, summary: CheckpointSummary, profile: CheckpointProfile) -> Table:
    config, generation = summary.config, summary.generation
    sizes = ", ".join(f"{bucket.width_px}x{bucket.height_px}" for bucket in summary.buckets)
    rows = {
        "checkpoint": str(folder),
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
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _guidance(generation: GenerationConfig) -> str:
    above = f" above noise {generation.guidance_min_sigma:g}" if generation.guidance_min_sigma else ""
    return f"{generation.guidance_scale:g}{above}"


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
