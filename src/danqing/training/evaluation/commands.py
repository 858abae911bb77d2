"""The commands of the evaluation: train the judge, judge a checkpoint, draw what is only looked at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from tqdm import tqdm

from danqing.hunyuan_image3.errors import CaptionError
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation import knobs, report
from danqing.training.evaluation.curve import add_to_curve, judge_snapshot, unjudged
from danqing.training.evaluation.detector import Detector
from danqing.training.evaluation.detector_training import NUM_PICTURES, DetectorTraining, load_detector
from danqing.training.evaluation.drawing import GRID, SEED, draw, draw_scene, for_detector
from danqing.training.evaluation.judge import Verdict, scores
from danqing.training.evaluation.judge import judge as judge_picture
from danqing.training.evaluation.negative_prompts import NUM_PROMPTS, Removal, measure_removal, open_prompts
from danqing.training.evaluation.perfect import empty_scene, perfect_scene
from danqing.training.evaluation.prompts import NUM_PER_CATEGORY, EvaluationPrompt, evaluation_prompts
from danqing.training.evaluation.showcase import SHORT_PROMPTS
from danqing.training.latents import LinearCode
from danqing.training.scenes.grid import Grid
from danqing.training.scenes.scene import Scene
from danqing.training.scenes.vocabulary import COMMON_NOUNS

FOLDER = "judge"  # Within the folder of the run.

app = typer.Typer(add_completion=False, help=__doc__)
Workdir = Annotated[Path, typer.Option(help="Folder of the run; the judge's state is kept in its `judge/`.")]
Checkpoint = Annotated[Path, typer.Option(help="The checkpoint folder to draw with.")]


@app.command()
def judge(workdir: Workdir, num_pictures: int = NUM_PICTURES) -> None:
    """Train the judge's detector, then say how it judges perfect pictures and empty ones: its ceiling, its floor."""
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
) -> None:
    """Draw the evaluation set with a checkpoint, judge it, and write `judge/evaluation.json`."""
    detector, pipeline = load_detector(workdir / FOLDER), Pipeline.load(checkpoint)
    prompts = evaluation_prompts(num_prompts)
    verdicts = {"plain": judged(detector, pipeline, prompts, expand=False)}
    if pipeline.generation.recaption:
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


@app.command(name="knobs")
def draw_knobs(
    workdir: Workdir,
    checkpoint: Checkpoint,
    folder: Annotated[Path, typer.Option(help="Where the two pictures go.")],
) -> None:
    """Draw what guidance, steps and negative prompts do."""
    pipeline = Pipeline.load(checkpoint)
    knobs.guidance_and_steps(pipeline).save(folder / "guidance-steps.png")
    knobs.negative_strip(pipeline, load_detector(workdir / FOLDER)).save(folder / "negative-prompts.png")


def judged_scenes(
    detector: Detector, prompts: list[EvaluationPrompt], scene_of: Callable[[EvaluationPrompt, Grid], Scene]
) -> list[Verdict]:
    """The verdicts on what the world's renderer draws."""
    return [
        judge_picture(prompt, detector.detect(for_detector(draw_scene(scene_of(prompt, GRID)))))
        for prompt in tqdm(prompts, desc="renders", mininterval=5)
    ]


def judged(detector: Detector, pipeline: Pipeline, prompts: list[EvaluationPrompt], *, expand: bool) -> list[Verdict]:
    """The verdicts on a checkpoint's pictures."""
    verdicts = []
    for prompt in tqdm(prompts, desc="expanded" if expand else "plain", mininterval=5):
        text = expanded(pipeline, prompt.text) if expand else prompt.text
        verdicts.append(judge_picture(prompt, detector.detect(for_detector(draw(pipeline, text)))))
    return verdicts


def expanded(pipeline: Pipeline, prompt: str) -> str:
    """The prompt as the checkpoint rewrites it; the prompt itself where it does not find an end."""
    try:
        return pipeline.expand(prompt, seed=SEED)
    except CaptionError:
        return prompt


def expanded_shorts(pipeline: Pipeline) -> dict[str, str]:
    """The short prompts and what the checkpoint makes of them; none where it has not learned to rewrite."""
    if not pipeline.generation.recaption:
        return {}
    return {prompt: expanded(pipeline, prompt) for prompt in SHORT_PROMPTS}


def removed(detector: Detector, pipeline: Pipeline, num_prompts: int) -> Removal:
    """What negative prompts remove from a checkpoint's pictures."""
    return measure_removal(
        tqdm(open_prompts(num_prompts), desc="negative prompts", mininterval=5),
        lambda prompt, negative: detector.detect(for_detector(draw(pipeline, prompt, negative_prompt=negative))),
    )
