"""Compare this runtime with recorded tensors of the reference: `python benchmarks/parity.py DIR`.

DIR is a checkpoint folder that also holds `case.json` and `expected.safetensors`. Prints a line per tensor with its
relative error ||ours - theirs|| / ||theirs||, then the worst; exits with 1 above 1e-4, with 2 for a tensor it does not
know. Computes in float32 on the CPU.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.generation_config import GREEDY
from danqing.hunyuan_image3.model import told_guidance
from danqing.hunyuan_image3.pieces import finish
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_reading import PromptSettings
from danqing.hunyuan_image3.prompt_template import CAPTION_TAG, THOUGHT_TAG
from danqing.hunyuan_image3.resolution import Bucket, Buckets, all_buckets
from danqing.hunyuan_image3.rope import image_positions, rotation, text_positions
from danqing.hunyuan_image3.sampler import Conditions, denoise, guide, schedule, start_noise
from danqing.hunyuan_image3.text import TextWriter
from danqing.hunyuan_image3.weights import load_model

LIMIT = 1e-4


class Case:
    """One recorded request, replayed; every method named like a recorded tensor computes ours."""

    def __init__(self, folder: Path, *, precision: Precision = Precision.FLOAT32) -> None:
        self.folder, self.precision = folder, precision
        self.expected = load_file(folder / "expected.safetensors")
        self.case: dict[str, Any] = json.loads((folder / "case.json").read_text())
        settings = PromptSettings(system_prompt="custom", system_prompt_text=self.case.get("system_prompt"))
        self.pipeline = Pipeline.load(folder, precision=precision, prompt_settings=settings)
        self.config, self.model, self.template = self.pipeline.config, self.pipeline.model, self.pipeline.template
        self.tokenizer = self.pipeline.tokenizer
        written = dict(re.findall(r"<(think|recaption)>(.*?)</\1>", self.case.get("cot_text") or "", re.DOTALL))
        reading, text = self.pipeline.reading, self.case["prompt"]
        self.question = reading.to_draw(text, thought=None, caption=None)
        self.prompt = reading.to_draw(text, thought=written.get(THOUGHT_TAG), caption=written.get(CAPTION_TAG))
        self.to_expand = reading.to_expand(text)
        self.bucket: Bucket = self.pipeline.buckets.nearest(width_px=self.case["width"], height_px=self.case["height"])
        side = self.config.pixels_per_token
        self.height, self.width = self.bucket.height_px // side, self.bucket.width_px // side
        self.prefixes = [self.template.image_prefix(self.prompt, self.bucket)]
        if not self.config.cfg_distilled:
            self.prefixes.append(self.template.unconditional_prefix(self.prompt, self.bucket))
        self.branches = [self.model.branch(ids, height=self.height, width=self.width) for ids in self.prefixes]

    def input_ids(self) -> Tensor:
        body = self.template.image_body(self.height * self.width)
        return torch.tensor([prefix + body for prefix in self.prefixes])

    def _rope(self) -> tuple[Tensor, Tensor]:
        tables = []
        for ids, prefix in zip(self.input_ids(), self.prefixes, strict=True):
            image, num_tokens = len(prefix) + self.config.num_condition_tokens, self.height * self.width
            positions = [
                text_positions(0, image),
                image_positions(image, height=self.height, width=self.width),
                text_positions(image + num_tokens, len(ids)),
            ]
            tables.append(rotation(torch.cat(positions), head_size=self.config.head_size, base=self.config.rope_base))
        return torch.stack([t.cos_Td for t in tables]), torch.stack([t.sin_Td for t in tables])

    def rope_cos(self) -> Tensor:
        return self._rope()[0]

    def rope_sin(self) -> Tensor:
        return self._rope()[1]

    def noise(self) -> Tensor:
        latent = self.expected["noise"].shape
        return start_noise(self.case["seed"], channels=latent[1], height=latent[2], width=latent[3])

    def sigmas(self) -> Tensor:
        return schedule(self.case["steps"], shift=self.pipeline.generation.flow_shift)

    def timesteps(self) -> Tensor:
        return torch.stack([conditions.t for conditions in self._conditions()])

    def timesteps_r(self) -> Tensor:
        return torch.stack([conditions.next_t for conditions in self._conditions()])

    def guidance(self) -> Tensor:
        return torch.cat([told_guidance(conditions.guidance_scale) for conditions in self._conditions()])

    def guidance_embedding(self) -> Tensor:
        return self._condition_tokens()[:, 1]

    def timestep_r_embedding(self) -> Tensor:
        return self._condition_tokens()[:, 2]

    def _conditions(self) -> Sequence[Conditions]:
        seen: list[Conditions] = []

        def predict(latent: Tensor, conditions: Conditions) -> Tensor:
            seen.append(conditions)
            return latent

        list(denoise(predict, torch.zeros(1), sigmas=self.sigmas(), guidance_scale=self.case["guidance_scale"]))
        return seen

    def _condition_tokens(self) -> Tensor:
        """[steps, S, D]."""
        return torch.cat([self.model.condition_tokens(conditions) for conditions in self._conditions()])

    def _predictions(self) -> Tensor:
        """Each branch at each step, fed with the reference's own latents: [steps, branch, 1, C, h, w]."""
        latent, sigmas, ours = self.expected["noise"].float(), self.sigmas(), []
        names = ["pred"] if self.config.cfg_distilled else ["pred_cond", "pred_uncond"]
        theirs = torch.stack([self.expected[name] for name in names], dim=1)
        for i, conditions in enumerate(self._conditions()):
            ours.append(self.model.velocity(latent, conditions, self.branches)[:, None])
            velocity = guide(theirs[i, :, 0], guidance_scale=self.case["guidance_scale"])
            latent = latent + velocity * (sigmas[i + 1] - sigmas[i])
        return torch.stack(ours)

    def pred(self) -> Tensor:
        return self._predictions()[:, 0]

    def pred_cond(self) -> Tensor:
        return self._predictions()[:, 0]

    def pred_uncond(self) -> Tensor:
        return self._predictions()[:, 1]

    def latents_scaled(self) -> Tensor:
        """The whole sampling loop, from the recorded noise."""
        *_, last = denoise(
            lambda latent, conditions: self.model.velocity(latent, conditions, self.branches),
            self.expected["noise"].float(),
            sigmas=self.sigmas(),
            guidance_scale=self.case["guidance_scale"],
        )
        return self.model.vae.unscale(last.latent)

    def image(self) -> Tensor:
        return self.model.vae.decode_unscaled(self.expected["latents_scaled"])

    def ratio_input_ids(self) -> Tensor:
        return torch.tensor([self.template.size_question(self.question)])

    def ratio_logits(self) -> Tensor:
        return self._logits_after(self.ratio_input_ids())[None]

    def ratio_index(self) -> Tensor:
        return torch.tensor([finish(self.pipeline.text_stage.choose_bucket(self.question)).ratio_index])

    def ratio_recaption_input_ids(self) -> Tensor:
        return torch.tensor([self.template.size_question(self.prompt)])

    def ratio_recaption_logits(self) -> Tensor:
        return self._logits_after(self.ratio_recaption_input_ids())[None]

    def ratio_recaption_index(self) -> Tensor:
        return torch.tensor([finish(self.pipeline.text_stage.choose_bucket(self.prompt)).ratio_index])

    def recaption_input_ids(self) -> Tensor:
        return torch.tensor([self.template.text_prefix(self.to_expand, tag=CAPTION_TAG)])

    def recaption_logits(self) -> Tensor:
        return self._step_by_step(self.recaption_input_ids(), self.expected["recaption_next_ids"])

    def recaption_next_ids(self) -> Tensor:
        return self._greedy(self.recaption_input_ids(), len(self.expected["recaption_next_ids"]))

    def think_input_ids(self) -> Tensor:
        return torch.tensor([self.template.text_prefix(self.to_expand, tag=THOUGHT_TAG)])

    def think_logits(self) -> Tensor:
        return self._step_by_step(self.think_input_ids(), self.expected["think_next_ids"])

    def think_next_ids(self) -> Tensor:
        return self._greedy(self.think_input_ids(), len(self.expected["think_next_ids"]))

    def _writer(self, ids: Tensor, num_tokens: int) -> TextWriter:
        capacity = ids.shape[1] + num_tokens
        return TextWriter(self.model, ids[0].tolist(), capacity=capacity, sampling=GREEDY, seed=1)

    def _logits_after(self, ids: Tensor) -> Tensor:
        return self._writer(ids, 0).logits()

    def _step_by_step(self, ids: Tensor, next_ids: Tensor) -> Tensor:
        """Logits after the prefix and after each of their tokens but the last."""
        writer = self._writer(ids, len(next_ids))
        logits = [writer.logits()]
        for token_id in next_ids[:-1].tolist():
            writer.append([token_id])
            logits.append(writer.logits())
        return torch.stack(logits)

    def _greedy(self, ids: Tensor, num_tokens: int) -> Tensor:
        return torch.tensor(list(self._writer(ids, num_tokens).write(stop_ids=(), max_new_tokens=num_tokens)))

    def buckets_1024(self) -> Tensor:
        buckets = all_buckets(1024, num_sizes=self.tokenizer.num_image_ratios)
        return torch.tensor([[bucket.height_px, bucket.width_px] for bucket in buckets])

    def asked_ratio_index(self) -> Tensor:
        buckets = Buckets(base_size_px=1024, pixels_per_token=16, num_sizes=self.tokenizer.num_image_ratios)
        asked = self.expected["asked_sizes"].tolist()
        return torch.tensor([buckets.nearest(width_px=width, height_px=height).ratio_index for height, width in asked])

    def vae_encode_mean(self) -> Tensor:
        # Drawing loads no encoder.
        model = load_model(self.folder, self.config, precision=self.precision, device=torch.device("cpu"))
        return model.vae.encode(self.expected["vae_encode_input"])


# Inputs of the case, which nothing of ours computes.
GIVEN = {"vae_encode_input", "asked_sizes"}


class UnknownTensor(ValueError):
    """The folder holds a tensor that nothing here computes."""


@torch.inference_mode()
def compare(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield the relative error of every recorded tensor. Token ids count as wrong as soon as one differs."""
    case = Case(folder)
    for name, theirs in case.expected.items():
        if name in GIVEN:
            continue
        compute = None if name.startswith("_") else getattr(Case, name, None)
        if compute is None:
            raise UnknownTensor(f"{folder}: expected.safetensors holds {name!r}, which this script does not know")
        ours = compute(case)
        if theirs.dtype == torch.int64:
            yield name, 0.0 if torch.equal(ours, theirs) else float("inf")
        elif ours.shape != theirs.shape:
            yield name, float("inf")
        else:
            theirs = theirs.float()
            error = ((ours - theirs).norm() / theirs.norm()).item()
            # Not a number compares with nothing: it must not slip past the limit.
            yield name, float("inf") if math.isnan(error) else error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    try:
        errors = dict(_printed(compare(parser.parse_args().folder)))
    except (CheckpointError, FileNotFoundError, UnknownTensor) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    worst = max(errors.values())
    print(f"worst {worst:.3e}")
    return 0 if worst <= LIMIT else 1


def _printed(errors: Iterator[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    for name, error in errors:
        print(f"{name:28} {error:.3e}", flush=True)
        yield name, error


if __name__ == "__main__":
    sys.exit(main())
