"""`danqing generate`: drawing one prompt on this machine, without a server, with a progress bar."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from danqing.cli.session import read_settings, warn_of_unknown_variables
from danqing.cli.terminal import AsJson, ExitCode, fail, literal, notes, output, path_argument, print_json
from danqing.pictures.prompt_text import NotText, clean_text, is_blank
from danqing.pictures.request import (
    GUIDANCE_SCALE,
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    NUM_IMAGES,
    NUM_INFERENCE_STEPS,
    ImageRequest,
    sample_seed,
)
from danqing.pictures.sizes import DEFAULT_PRESET, SizeError, parse_size
from danqing.prompts.expander import ExpandedPrompt

if TYPE_CHECKING:
    from rich.status import Status

    from danqing.engine.interface import ImageResult
    from danqing.engine.local import LocalEngine
    from danqing.pictures.checkpoint_profile import CheckpointProfile
    from danqing.settings import Settings

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
POLL_SECONDS = 0.1


OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        parser=path_argument,
        metavar="PATH",
        help="A .png or .jpg file; several images get -1, -2 … [default: danqing-SEED.png]",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=NUM_INFERENCE_STEPS.least,
        max=NUM_INFERENCE_STEPS.most,
        help=f"Denoising steps. [default: {NUM_INFERENCE_STEPS.default}, or what suits the checkpoint]",
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        min=GUIDANCE_SCALE.least,
        max=GUIDANCE_SCALE.most,
        help=f"How closely to follow the prompt. [default: {GUIDANCE_SCALE.default}, or what suits the checkpoint]",
    ),
]

StepReuse = Annotated[
    Literal["none", "third", "half"] | None,
    typer.Option(
        help="Share of the steps that are extrapolated instead of computed. [default: DANQING_DEFAULT_STEP_REUSE]"
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        parser=path_argument, metavar="PATH", help="Checkpoint folder. [default: DANQING_MODEL, or the bundled mini]"
    ),
]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The files to write: `path` for one image, numbered beside it for several.

    `announce`: print each file's name as soon as it is written.
    """

    path: Path
    num_images: int
    announce: bool

    def of(self, image_index: int) -> Path:
        """Return the file of one image."""
        if self.num_images == 1:
            return self.path
        return self.path.with_stem(f"{self.path.stem}-{image_index + 1}")


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image that was written to a file."""

    path: Path
    seed: int
    width_px: int
    height_px: int


def generate(
    prompt: Annotated[str, typer.Argument(help="The prompt.", show_default=False)],
    output_file: OutputFile = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT, a preset such as landscape_16_9, or auto.")] = DEFAULT_PRESET,
    seed: Annotated[
        int | None, typer.Option(min=1, max=MAX_SEED, help="Same seed, same picture. [default: random]")
    ] = None,
    steps: Steps = None,
    guidance: Guidance = None,
    step_reuse: StepReuse = None,
    negative: Annotated[str, typer.Option(help="What to avoid.")] = ImageRequest.negative_prompt,
    num_images: Annotated[
        int, typer.Option(min=NUM_IMAGES.least, max=NUM_IMAGES.most, help="Image i starts from seed + i.")
    ] = NUM_IMAGES.default,
    expand: Annotated[bool, typer.Option("--expand", help="Expand the prompt with more detail first.")] = False,
    model: Model = None,
    show: Annotated[bool, typer.Option(help="Show the picture here too, where the terminal can.")] = True,
    as_json: AsJson = False,
) -> None:
    """Draw a prompt on this machine, without a server.

    Example: `danqing generate "a T-Rex on a beach" -o trex.png --size landscape_16_9 --seed 7`
    """
    prompt, negative = _text("PROMPT", prompt), _text("--negative", negative)
    if is_blank(prompt):
        fail("PROMPT: must not be empty", code=ExitCode.BAD_INPUT)
    seed = sample_seed() if seed is None else seed
    target = Target(
        path=_checked_file(output_file or Path(f"danqing-{seed}.png")), num_images=num_images, announce=not as_json
    )
    width_px, height_px = _size_px(size) or (None, None)
    settings = read_settings(model=model)
    warn_of_unknown_variables()
    profile = _profile(settings)
    request = ImageRequest(
        prompt=prompt,
        negative_prompt=negative,
        width_px=width_px,
        height_px=height_px,
        num_images=num_images,
        seed=seed,
        num_inference_steps=steps or profile.num_inference_steps,
        guidance_scale=guidance or profile.guidance_scale,
        step_reuse=step_reuse or profile.step_reuse,
        enable_prompt_expansion=expand,
        output_format=FORMATS[target.path.suffix.lower()],
    )
    for warning in profile.warnings(request):
        notes.print(f"[yellow]{literal(warning)}[/]")
    request = profile.effective(request)
    # This command reports the engine's errors itself.
    logging.getLogger("danqing").setLevel(logging.CRITICAL)
    engine = _engine(settings)
    caption, files = asyncio.run(_run(engine, request, target))
    if as_json:
        revised_prompt = caption if caption != prompt else None
        parameters = {name: getattr(request, name) for name in profile.defaults}
        report = {"engine": engine.status().model, "revised_prompt": revised_prompt, "parameters": parameters}
        print_json({**report, "pictures": [asdict(file) for file in files]})
    if show:
        _show(files)


def _text(name: str, text: str) -> str:
    if len(text) > MAX_PROMPT_CHARACTERS:
        fail(f"{name}: at most {MAX_PROMPT_CHARACTERS} characters are allowed", code=ExitCode.BAD_INPUT)
    try:
        return clean_text(text)
    except NotText as error:
        # Bytes of an argument that are not UTF-8 arrive as lone surrogates.
        fail(f"{name}: {error}", code=ExitCode.BAD_INPUT)


def _checked_file(path: Path) -> Path:
    if path.suffix.lower() not in FORMATS:
        fail(f"--output: {path} must end in {', '.join(FORMATS)}", code=ExitCode.BAD_INPUT)
    if not path.absolute().parent.is_dir():
        fail(f"--output: there is no folder {path.absolute().parent}", code=ExitCode.BAD_INPUT)
    return path


def _size_px(size: str) -> tuple[int, int] | None:
    try:
        return parse_size(size)
    except SizeError as error:
        fail(f"--size: {error}", code=ExitCode.BAD_INPUT)


def _profile(settings: Settings) -> CheckpointProfile:
    from danqing.engines import checkpoint_profile

    return checkpoint_profile(settings)


def _engine(settings: Settings) -> LocalEngine:
    from danqing.engines import local_engine

    return local_engine(settings)


def _show(files: list[ImageFile]) -> None:
    from danqing.cli.terminal_image import protocol_of, show_image

    protocol = protocol_of(notes, os.environ)
    if protocol is None:
        return
    for file in files:
        show_image(file.path, notes, protocol=protocol)


async def _run(engine: LocalEngine, request: ImageRequest, target: Target) -> tuple[str, list[ImageFile]]:
    """Draw; returns the caption that was drawn, or the prompt, and the files."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, left:"),
        TimeRemainingColumn(),
    )
    await engine.start()
    try:
        with notes.status("Loading the model") as line:
            await _load(engine, line)
        notes.print(f"[dim]{literal(engine.status().model)}, seed {request.seed}[/]")
        expanded = ExpandedPrompt(prompt=request.prompt)
        if request.enable_prompt_expansion:
            expanded = await _expanded(engine, request)
        with Progress(*columns, console=notes, transient=True) as bar:
            return expanded.caption, await _draw(engine, request, expanded, target, bar)
    finally:
        await engine.stop()


async def _load(engine: LocalEngine, line: Status) -> None:
    from danqing.engine.interface import EngineState

    while engine.status().state is not EngineState.READY:
        if engine.status().state is EngineState.FAILED:
            fail(engine.status().detail, code=ExitCode.ENGINE_FAILED)
        line.update(f"Loading the model: {literal(engine.status().detail)}")
        await asyncio.sleep(POLL_SECONDS)


async def _expanded(engine: LocalEngine, request: ImageRequest) -> ExpandedPrompt:
    from danqing.engines import prompt_expander

    with notes.status("Expanding the prompt"):
        expanded = await prompt_expander(read_settings(), engine).expand(request)
    if expanded.warning is not None:
        notes.print(f"[yellow]{literal(expanded.warning)}[/]")
    elif expanded.caption != request.prompt:
        notes.print(f"Expanded to: {literal(expanded.caption)}", soft_wrap=True)
    return expanded


async def _draw(
    engine: LocalEngine, request: ImageRequest, expanded: ExpandedPrompt, target: Target, bar: Progress
) -> list[ImageFile]:
    from danqing.engine.interface import ImageResult

    task = bar.add_task("Drawing", total=request.num_images * request.num_inference_steps)
    # The steps of each image, not a count of events: a retry after a crash begins again.
    steps_done = [0] * request.num_images
    files = []
    request = replace(request, prompt=expanded.prompt)
    async with aclosing(engine.generate(request, expansion=expanded.expansion)) as events:
        async for event in events:
            if isinstance(event, ImageResult):
                path = target.of(event.image_index)
                path.write_bytes(_encode(event, request, engine.status().model))
                if target.announce:
                    output.print(str(path), soft_wrap=True)
                width_px, height_px = event.raster.width_px, event.raster.height_px
                files.append(ImageFile(path=path, seed=event.seed, width_px=width_px, height_px=height_px))
            else:
                steps_done[event.image_index] = event.step
                bar.update(task, completed=sum(steps_done))
    return sorted(files, key=lambda file: file.path)


def _encode(image: ImageResult, request: ImageRequest, model: str) -> bytes:
    from danqing.pictures.encoding import Provenance, encode

    encoded = encode(
        image.raster,
        output_format=request.output_format,
        output_compression=request.output_compression,
        provenance=Provenance(model=model, seed=image.seed),
    )
    return encoded.data
