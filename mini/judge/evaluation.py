"""Judged pictures: of a checkpoint, of a training's snapshots, of the world's own renderer.

Pictures of a snapshot come straight from the linear code, so that a decoder that learns at the same time does not blur
the curve of quality against samples.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from danqing.hunyuan_image3.errors import CaptionError
from danqing.hunyuan_image3.pipeline import Pipeline
from mini.judge.detector import Detector
from mini.judge.drawing import GRID, SEED, denoised, draw, draw_scene, for_detector
from mini.judge.negative_prompts import Removal, measure_removal, open_prompts
from mini.judge.prompts import EvaluationPrompt
from mini.judge.showcase import SHORT_PROMPTS
from mini.judge.verdicts import Verdict, judge
from mini.train.latents import LinearCode
from mini.world.scene import Grid, Scene


def judged_scenes(
    detector: Detector, prompts: list[EvaluationPrompt], scene_of: Callable[[EvaluationPrompt, Grid], Scene]
) -> list[Verdict]:
    """The verdicts on what the world's renderer draws."""
    return [
        judge(prompt, detector.detect(for_detector(draw_scene(scene_of(prompt, GRID)))))
        for prompt in tqdm(prompts, desc="renders", mininterval=5)
    ]


def judged(detector: Detector, pipeline: Pipeline, prompts: list[EvaluationPrompt], *, expand: bool) -> list[Verdict]:
    """The verdicts on a checkpoint's pictures."""
    verdicts = []
    for prompt in tqdm(prompts, desc="expanded" if expand else "plain", mininterval=5):
        text = expanded(pipeline, prompt.text) if expand else prompt.text
        verdicts.append(judge(prompt, detector.detect(for_detector(draw(pipeline, text)))))
    return verdicts


def expanded(pipeline: Pipeline, prompt: str) -> str:
    """The prompt as the checkpoint rewrites it; the prompt itself where it does not find an end."""
    try:
        return pipeline.expand(prompt, seed=SEED).caption or prompt
    except CaptionError:
        return prompt


def expanded_shorts(pipeline: Pipeline) -> dict[str, str]:
    """The short prompts and what the checkpoint makes of them; none where it has not learned to rewrite."""
    if not pipeline.generation.expands:
        return {}
    return {prompt: expanded(pipeline, prompt) for prompt in SHORT_PROMPTS}


def removed(detector: Detector, pipeline: Pipeline, num_prompts: int) -> Removal:
    """What negative prompts remove from a checkpoint's pictures."""
    return measure_removal(
        tqdm(open_prompts(num_prompts), desc="negative prompts", mininterval=5),
        lambda prompt, negative: detector.detect(for_detector(draw(pipeline, prompt, negative_prompt=negative))),
    )


def unjudged(workdir: Path) -> list[Path]:
    """The snapshots that `curve.jsonl` does not tell of yet, the earliest first."""
    known = {row["seen"] for row in read_curve(workdir)}
    return [path for path in sorted((workdir / "snapshots").glob("*.pt")) if int(path.stem) not in known]


def read_curve(workdir: Path) -> list[dict[str, float]]:
    """One row for each snapshot that has been judged."""
    path = workdir / "curve.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_to_curve(workdir: Path, row: dict[str, float]) -> None:
    """Write one more row."""
    with (workdir / "curve.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


@torch.inference_mode()
def judge_snapshot(
    path: Path, pipeline: Pipeline, code: LinearCode, detector: Detector, prompts: list[EvaluationPrompt]
) -> list[Verdict]:
    """The verdicts on a snapshot's pictures; its weights replace the pipeline's."""
    pipeline.model.load_state_dict(torch.load(path, map_location=pipeline.model.device), strict=False)
    verdicts = []
    for prompt in prompts:
        _, latent = denoised(pipeline, prompt.text)
        # The code's own size is what the detector reads.
        verdicts.append(judge(prompt, detector.detect(code.decode(latent.float().cpu())[0].clamp(-1, 1))))
    return verdicts
