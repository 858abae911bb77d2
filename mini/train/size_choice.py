"""The choice of a size: the rows of `lm_head` behind `<img_ratio_R>`, fitted once the transformer is finished.

In training a picture's size says nothing about its content, so the transformer learns only how frequent each size is.
The hidden state of the question knows the prompt, though. These rows are fitted to read it. Nothing else changes:
pictures of a given size keep their bytes, and expansions keep their words.

Letters: N texts, D hidden size, R sizes.
"""

import random
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_template import CAPTION_TAG, Prompt
from danqing.hunyuan_image3.rope import text_positions
from mini.train.forward import run_layers
from mini.train.recipe import PIXELS_PER_TOKEN
from mini.train.shards import expansion_pair, training_text
from mini.world.layout import sample_scene
from mini.world.natural_size import WIDE, natural_grid
from mini.world.scene import Scene

SEED = 2
NUM_TEXTS, NUM_EXPANSIONS = 4000, 600
BATCH_SIZE = 64
NUM_ITERATIONS = 200
# Beside the mean loss of a text: longer rows know the training texts by heart.
DECAY = 3e-3
MIN_SPREAD = 1e-6
# How far the sizes are held below the words of a text, and how much more a question weighs than a position of text.
TEXT_LOGIT, QUESTION_WEIGHT, RIDGE = 2000.0, 100.0, 1e-3
LM_HEAD = "lm_head.weight"


class Questions(NamedTuple):
    """Hidden states of the size question, float32 [N, D], and the right size as an index into the buckets, [N]."""

    hidden_ND: Tensor
    sizes_N: Tensor


def fit_size_choice(folder: Path, *, num_texts: int = NUM_TEXTS, num_expansions: int = NUM_EXPANSIONS) -> float:
    """Fit the rows and write them into the checkpoint's weights; returns the share of right sizes on unseen texts."""
    pipeline, rng = Pipeline.load(folder, precision=Precision.FLOAT32), random.Random(SEED)
    known, unseen = (sample_questions(pipeline, rng, count) for count in (num_texts, max(1, num_texts // 10)))
    text_ND = expansion_states(pipeline, rng, num_expansions)
    ids = [pipeline.tokenizer.image_ratio(bucket.ratio_index) for bucket in pipeline.buckets.usable]
    rows_RD = fitted_rows(known, num_sizes=len(ids)) + never_in_text(known.hidden_ND, text_ND)
    rounded_RD = rounded(rows_RD, known.hidden_ND.mean(0))
    _write_rows(folder / "model.safetensors", ids, rounded_RD)
    return float(((unseen.hidden_ND @ rounded_RD.float().T).argmax(1) == unseen.sizes_N).float().mean())


def sample_questions(pipeline: Pipeline, rng: random.Random, count: int) -> Questions:
    """Texts of sampled training scenes, each as a question for its natural size."""
    scenes = [sample_scene(rng, WIDE) for _ in range(count)]
    ids = [pipeline.template.size_question(Prompt(text=training_text(scene, rng))) for scene in scenes]
    sizes = torch.tensor([_size_index(pipeline, scene) for scene in scenes])
    return Questions(torch.cat([states[-1:] for states in _hidden_states(pipeline.model, ids)]), sizes)


def expansion_states(pipeline: Pipeline, rng: random.Random, count: int) -> Tensor:
    """Hidden states at which expansions choose their next token, float32 [N, D]."""
    sequences, starts = [], []
    for _ in range(count):
        short, detailed = expansion_pair(sample_scene(rng, WIDE), rng)
        prefix = pipeline.template.text_prefix(Prompt(text=short), tag=CAPTION_TAG)
        sequences.append([*prefix, *pipeline.template.encode(detailed)])
        starts.append(len(prefix) - 1)
    hidden = _hidden_states(pipeline.model, sequences)
    return torch.cat([states[start:] for states, start in zip(hidden, starts, strict=True)])


def fitted_rows(questions: Questions, *, num_sizes: int) -> Tensor:
    """The rows that minimise the cross entropy of sizes, float32 [R, D]."""
    whitening_DD = _whitening(questions.hidden_ND)
    white_ND = questions.hidden_ND @ whitening_DD
    rows_RD = torch.zeros(num_sizes, white_ND.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([rows_RD], max_iter=NUM_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(white_ND @ rows_RD.T, questions.sizes_N) + DECAY * rows_RD.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return rows_RD.detach() @ whitening_DD


def never_in_text(question_ND: Tensor, text_ND: Tensor) -> Tensor:
    """A direction, the same for all rows, [D]: about -TEXT_LOGIT at every position of a text, 0 at every question.

    The rows are long, so at some positions of a text a size would win over all words without it.
    """
    text_DD, question_DD = (states.T @ states / len(states) for states in (text_ND, question_ND))
    ridge_DD = RIDGE * text_DD.diagonal().mean() * torch.eye(len(text_DD))
    return -TEXT_LOGIT * torch.linalg.solve(text_DD + QUESTION_WEIGHT * question_DD + ridge_DD, text_ND.mean(0))


def rounded(rows_RD: Tensor, mean_D: Tensor) -> Tensor:
    """The rows in bfloat16, up or down so that their product with the mean question stays the same."""
    nearest_RD = rows_RD.to(torch.bfloat16)
    beyond_RD = torch.where(nearest_RD < rows_RD, float("inf"), float("-inf")).to(torch.bfloat16)
    other_RD = torch.nextafter(nearest_RD, beyond_RD)
    nearest_error_RD, other_error_RD = ((values - rows_RD) * mean_D for values in (nearest_RD, other_RD))
    error_R = torch.zeros(len(rows_RD))
    result_RD = nearest_RD.clone()
    # The largest errors first, so that small ones remain to balance them.
    for d in nearest_error_RD.abs().sum(0).argsort(descending=True):
        nearest_R, other_R = error_R + nearest_error_RD[:, d], error_R + other_error_RD[:, d]
        take_other_R = other_R.abs() < nearest_R.abs()
        result_RD[:, d] = torch.where(take_other_R, other_RD[:, d], nearest_RD[:, d])
        error_R = torch.where(take_other_R, other_R, nearest_R)
    return result_RD


def _whitening(states_ND: Tensor) -> Tensor:
    """The matrix that gives the states the same spread in every direction, [D, D]: the fit then takes few steps."""
    spread_D, directions_DD = torch.linalg.eigh((states_ND.T @ states_ND / len(states_ND)).double())
    floored_D = spread_D.clamp_min(0) + MIN_SPREAD * spread_D.max()
    return (directions_DD * floored_D.rsqrt() @ directions_DD.T).float()


def _size_index(pipeline: Pipeline, scene: Scene) -> int:
    grid = natural_grid(scene)
    bucket = pipeline.buckets.nearest(width_px=grid.columns * PIXELS_PER_TOKEN, height_px=grid.rows * PIXELS_PER_TOKEN)
    return pipeline.buckets.usable.index(bucket)


@torch.inference_mode()
def _hidden_states(model: HunyuanImage3, sequences: list[list[int]]) -> list[Tensor]:
    """The final hidden state of every token, float32 [L, D] for each sequence. Padding on the right is never seen."""
    by_length = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    states: dict[int, Tensor] = {}
    for first in trange(0, len(by_length), BATCH_SIZE, desc="hidden states", mininterval=5):
        chosen = by_length[first : first + BATCH_SIZE]
        length = max(len(sequences[i]) for i in chosen)
        ids_BL = torch.zeros(len(chosen), length, dtype=torch.long)
        for row, i in zip(ids_BL, chosen, strict=True):
            row[: len(sequences[i])] = torch.tensor(sequences[i])
        mask = torch.ones(length, length, dtype=torch.bool).tril().expand(len(chosen), length, length)
        outs, _ = run_layers(model, model.model.wte(ids_BL), text_positions(0, length), mask, fused=False)
        hidden_BLD = model.model.ln_f(outs[-1]).float()
        states |= {i: hidden_BLD[k, : len(sequences[i])] for k, i in enumerate(chosen)}
    return [states[i] for i in range(len(sequences))]


def _write_rows(path: Path, ids: list[int], rows_RD: Tensor) -> None:
    """Replace these rows of the head; the new file is written first, then renamed."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors[LM_HEAD][ids] = rows_RD.to(tensors[LM_HEAD].dtype)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata=metadata)
    partial.chmod(0o644)  # The library makes it readable for its owner alone.
    partial.rename(path)
