"""Compare this runtime with recorded tensors of the reference: `python benchmarks/parity.py DIR`.

DIR is a checkpoint folder that also holds `case.json` and `expected.safetensors`. Prints a line per tensor with its
relative error ||ours - theirs|| / ||theirs||, then the worst; exits with 1 above 1e-4. Computes in float32 on the CPU.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_template import Prompt
from danqing.hunyuan_image3.resolution import Bucket
from danqing.hunyuan_image3.rope import image_positions, rotation, text_positions
from danqing.hunyuan_image3.sampler import denoise, guide, schedule, start_noise

LIMIT = 1e-4


class Case:
    """One recorded request, replayed; every method named like a recorded tensor computes ours."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = Pipeline.load(folder, precision=Precision.FLOAT32)
        self.expected = load_file(folder / "expected.safetensors")
        self.case: dict[str, Any] = json.loads((folder / "case.json").read_text())
        self.config, self.model = self.pipeline.config, self.pipeline.model
        self.prompt = Prompt(
            text=self.case["prompt"], system=self.case.get("system_prompt"), thinking=self.case.get("cot_text")
        )
        self.bucket: Bucket = self.pipeline.buckets.nearest(width_px=self.case["width"], height_px=self.case["height"])
        side = self.config.pixels_per_token
        self.height, self.width = self.bucket.height_px // side, self.bucket.width_px // side
        template = self.pipeline.template
        self.prefixes = [
            template.image_prefix(self.prompt, self.bucket),
            template.unconditional_prefix(self.prompt, self.bucket),
        ]
        self.branches = [self.model.branch(ids, height=self.height, width=self.width) for ids in self.prefixes]

    def input_ids(self) -> Tensor:
        body = self.pipeline.template.image_body(self.height * self.width)
        return torch.tensor([prefix + body for prefix in self.prefixes])

    def _rope(self) -> tuple[Tensor, Tensor]:
        tables = []
        for ids, prefix in zip(self.input_ids(), self.prefixes, strict=True):
            image, num_tokens = len(prefix) + 1, self.height * self.width
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
        return 1000 * self.sigmas()[:-1]

    def _predictions(self) -> Tensor:
        """Each branch at each step, fed with the reference's own latents: [steps, branch, 1, C, h, w]."""
        latent, sigmas, ours = self.expected["noise"].float(), self.sigmas(), []
        theirs = torch.stack([self.expected["pred_cond"], self.expected["pred_uncond"]], dim=1)
        for i in range(self.case["steps"]):
            ours.append(self.model.velocity(latent, 1000 * sigmas[i], self.branches)[:, None])
            velocity = guide(theirs[i, :, 0], guidance_scale=self.case["guidance_scale"])
            latent = latent + velocity * (sigmas[i + 1] - sigmas[i])
        return torch.stack(ours)

    def pred_cond(self) -> Tensor:
        return self._predictions()[:, 0]

    def pred_uncond(self) -> Tensor:
        return self._predictions()[:, 1]

    def latents_scaled(self) -> Tensor:
        """The whole sampling loop, from the recorded noise."""
        *_, last = denoise(
            lambda latent, t: self.model.velocity(latent, t, self.branches),
            self.expected["noise"].float(),
            sigmas=self.sigmas(),
            guidance_scale=self.case["guidance_scale"],
        )
        return self.model.vae.unscale(last.latent)

    def image(self) -> Tensor:
        return self.model.vae.decode_unscaled(self.expected["latents_scaled"])

    def ratio_input_ids(self) -> Tensor:
        question = Prompt(text=self.prompt.text, system=self.prompt.system)
        return torch.tensor([self.pipeline.template.size_question(question)])

    def ratio_logits(self) -> Tensor:
        ids = self.expected["ratio_input_ids"][0].tolist()
        return self.model.next_token_logits(self.model.read(ids, self.model.new_cache(len(ids))))[None]

    def vae_encode_mean(self) -> Tensor:
        return self.model.vae.encode(self.expected["vae_encode_input"])


# Inputs of the case, which nothing of ours computes.
GIVEN = {"vae_encode_input"}


@torch.inference_mode()
def compare(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield the relative error of every recorded tensor. Token ids count as wrong as soon as one differs."""
    case = Case(folder)
    for name, theirs in case.expected.items():
        if name in GIVEN:
            continue
        ours = getattr(case, name)()
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
    except (CheckpointError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    worst = max(errors.values())
    print(f"worst {worst:.3e}")
    return 0 if worst <= LIMIT else 1


def _printed(errors: Iterator[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    for name, error in errors:
        print(f"{name:20} {error:.3e}", flush=True)
        yield name, error


if __name__ == "__main__":
    sys.exit(main())
