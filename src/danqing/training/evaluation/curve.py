"""Quality against samples: the snapshots of a training, each judged on the same prompts. Draws no chart.

Pictures come straight from the linear code, so that a decoder that learns at the same time does not blur the curve.
"""

import json
from pathlib import Path

import torch

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation.detector import Detector
from danqing.training.evaluation.drawing import denoised
from danqing.training.evaluation.judge import Verdict, judge
from danqing.training.evaluation.prompts import EvaluationPrompt
from danqing.training.latents import LinearCode


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
        # Half-size pictures are what the detector reads.
        verdicts.append(judge(prompt, detector.detect(code.decode(latent.float().cpu())[0].clamp(-1, 1))))
    return verdicts
