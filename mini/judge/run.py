"""The judge of `mini`: train its detector, judge a checkpoint or snapshots, measure flaws, draw sheets to look at."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from tqdm import tqdm

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from mini.judge import report, sheets
from mini.judge.detector_training import NUM_PICTURES, DetectorTraining, load_detector
from mini.judge.drawing import draw
from mini.judge.evaluation import (
    add_to_curve,
    expanded_shorts,
    judge_snapshot,
    judged,
    judged_scenes,
    removed,
    unjudged,
)
from mini.judge.flaws import flaw_scenes, flaws
from mini.judge.negative_prompts import NUM_PROMPTS
from mini.judge.perfect import empty_scene, perfect_scene
from mini.judge.prompts import NUM_PER_CATEGORY, evaluation_prompts
from mini.judge.verdicts import scores
from mini.train.latents import LinearCode
from mini.world.detailed_captions import detailed_caption
from mini.world.vocabulary import COMMON_NOUNS

FOLDER = "judge"  # Within the folder of the run.

app = typer.Typer(add_completion=False, help=__doc__)
Workdir = Annotated[Path, typer.Option(help="Folder of the run; the judge keeps its state in `judge/` there.")]
Checkpoint = Annotated[Path, typer.Option(help="The checkpoint folder to draw with.")]


@app.command()
def train(workdir: Workdir, num_pictures: int = NUM_PICTURES) -> None:
    """Train the detector, then print the judge's ceiling (perfect pictures) and floor (empty places)."""
    torch.set_num_threads(1)
    DetectorTraining(workdir / FOLDER).run(num_pictures=num_pictures)
    detector, prompts = load_detector(workdir / FOLDER), evaluation_prompts()
    ceiling = judged_scenes(detector, prompts, perfect_scene)
    report.print_scores(Console(), {"ceiling": ceiling, "floor": judged_scenes(detector, prompts, empty_scene)})
    report.print_missed(Console(), ceiling)


@app.command()
def evaluate(
    workdir: Workdir,
    checkpoint: Checkpoint,
    num_prompts: Annotated[int, typer.Option(help="Prompts in each category.")] = NUM_PER_CATEGORY,
    precision: Annotated[
        Precision | None, typer.Option(help="Precision to draw in, as for `danqing generate`.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Judge the plain prompts alone, and write nothing.")] = False,
) -> None:
    """Draw the evaluation set with a checkpoint, judge it, and write `judge/evaluation.json`."""
    detector, pipeline = load_detector(workdir / FOLDER), Pipeline.load(checkpoint, precision=precision)
    prompts = evaluation_prompts(num_prompts)
    verdicts = {"plain": judged(detector, pipeline, prompts, expand=False)}
    if plain:
        Console().print(pipeline.description)
        report.print_scores(Console(), verdicts)
        return
    if pipeline.generation.expands:
        verdicts["expanded"] = judged(detector, pipeline, prompts, expand=True)
    common = evaluation_prompts(num_prompts, among=COMMON_NOUNS)
    verdicts["common things"] = judged(detector, pipeline, common, expand=False)
    verdicts["ceiling"] = judged_scenes(detector, prompts, perfect_scene)
    removal = removed(detector, pipeline, min(num_prompts, NUM_PROMPTS))
    console = Console()
    expansions = expanded_shorts(pipeline)
    console.print(pipeline.description)
    report.print_scores(console, verdicts)
    report.print_missed(console, verdicts["plain"])
    report.print_removal(console, removal)
    if expansions:
        report.print_expansions(console, expansions)
    path = workdir / FOLDER / "evaluation.json"
    path.write_text(json.dumps(report.as_json(verdicts, removal, expansions), indent=1))
    console.print(f"written: {path}")


@app.command()
def curve(
    workdir: Workdir,
    checkpoint: Checkpoint,
    num_prompts: Annotated[int, typer.Option(help="Prompts in each category.")] = 10,
) -> None:
    """Judge the training's snapshots that have not been judged yet, with the checkpoint's other files."""
    detector, pipeline = load_detector(workdir / FOLDER), Pipeline.load(checkpoint)
    code, prompts = LinearCode.load(workdir / "code.safetensors"), evaluation_prompts(num_prompts)
    for path in unjudged(workdir):
        rows = scores(judge_snapshot(path, pipeline, code, detector, prompts))
        row = {"seen": int(path.stem)} | {row.category: round(row.share, 3) for row in rows}
        add_to_curve(workdir, row)
        Console().print(row)


@app.command(name="flaws")
def measure_flaws(
    checkpoint: Checkpoint, num_scenes: Annotated[int, typer.Option(help="Held-out scenes to draw.")] = 20
) -> None:
    """Measure fringes and borders of tokens against the renderer's pictures; needs no detector."""
    pipeline, scenes = Pipeline.load(checkpoint), flaw_scenes(num_scenes)
    report.print_flaws(Console(), [flaws(draw(pipeline, detailed_caption(scene)), scene) for scene in tqdm(scenes)])


@app.command(name="sheets")
def draw_sheets(
    workdir: Workdir,
    checkpoint: Checkpoint,
    folder: Annotated[Path, typer.Option(help="Where the sheets go.")] = Path("docs/images"),
) -> None:
    """Draw the four sheets of docs/images: first prompts, contact sheet, guidance and steps, negative prompts."""
    detector, pipeline = load_detector(workdir / FOLDER), Pipeline.load(checkpoint)
    sheets.first_prompts(pipeline).save(folder / "first-prompts.png")
    sheets.contact_sheet(pipeline).save(folder / "contact-sheet.png")
    sheets.guidance_and_steps(pipeline).save(folder / "guidance-steps.png")
    sheets.negative_strip(pipeline, detector).save(folder / "negative-prompts.png")


if __name__ == "__main__":
    app()
