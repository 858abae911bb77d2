"""The pipeline of a checkpoint folder: prompts in, pictures out.

Every image is computed on its own and every cache belongs to its request, so the same seed gives the same bytes
alone and under load.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from danqing.hunyuan_image3.checkpoint_folder import check_folder, checkpoint_name
from danqing.hunyuan_image3.config import parse_generation_config, parse_model_config, read_json
from danqing.hunyuan_image3.errors import CaptionError, PromptTooLong
from danqing.hunyuan_image3.model import Branch
from danqing.hunyuan_image3.precision import Precision, check_support, fastest_precision
from danqing.hunyuan_image3.prompt_template import Prompt, PromptTemplate
from danqing.hunyuan_image3.resolution import Bucket, Buckets
from danqing.hunyuan_image3.sampler import DenoiseStep, denoise, schedule, start_noise
from danqing.hunyuan_image3.text import continue_text
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.hunyuan_image3.weights import load_model

Pixels = npt.NDArray[np.uint8]  # [H, W, 3]
MAX_CAPTION_TOKENS = 512
PREVIEW_SIDE_PX = 512


@dataclass(frozen=True, kw_only=True)
class TextToImage:
    """One request. Without a size the model chooses the aspect ratio."""

    prompt: str
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str = ""
    width_px: int | None = None
    height_px: int | None = None


@dataclass(frozen=True)
class Prefix:
    """The text of a request, read once for all its images and steps: one branch, or two with guidance."""

    request: TextToImage
    bucket: Bucket
    branches: Sequence[Branch]


class Pipeline:
    """The network, the tokenizer and the defaults of one checkpoint folder."""

    def __init__(
        self,
        folder: Path,
        *,
        precision: Precision,
        device: torch.device,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        check_folder(folder)
        self.config = parse_model_config(read_json(folder / "config.json"))
        self.generation = parse_generation_config(read_json(folder / "generation_config.json"))
        self.tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
        self.template = PromptTemplate(
            self.tokenizer, name=self.generation.template, base_size_px=self.config.base_size_px
        )
        self.buckets = Buckets(base_size_px=self.config.base_size_px, pixels_per_token=self.config.pixels_per_token)
        self.model = load_model(folder, self.config, precision=precision, device=device, on_progress=on_progress)
        num_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.description = f"{checkpoint_name(folder)} ({_count(num_parameters)} parameters, {precision}, {device})"

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        precision: Precision | None = None,
        device: str = "cpu",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "Pipeline":
        """Load a checkpoint folder; without a `precision`, in the device's fastest one that loses nothing.

        Raises CheckpointError naming the file or key, and UnsupportedDevice.
        """
        where = torch.device(device)
        chosen = precision or fastest_precision(where)
        check_support(chosen, where)
        return cls(folder, precision=chosen, device=where, on_progress=on_progress)

    @torch.inference_mode()
    def prefill(self, request: TextToImage) -> Prefix:
        """Read the text. Guidance 1 needs one branch; a negative prompt takes the place of `<cfg>`.

        Raises PromptTooLong.
        """
        prompt = Prompt(text=request.prompt)
        bucket = self._bucket(request)
        prefixes = [self.template.image_prefix(prompt, bucket)]
        if request.guidance_scale != 1:
            prefixes.append(self.template.unconditional_prefix(prompt, bucket, negative=request.negative_prompt))
        height, width = (side // self.config.pixels_per_token for side in (bucket.height_px, bucket.width_px))
        for prefix in prefixes:
            self._check_length(len(prefix) + 1 + height * width)
        branches = [self.model.branch(prefix, height=height, width=width) for prefix in prefixes]
        return Prefix(request, bucket, branches)

    def denoise(self, prefix: Prefix, *, seed: int) -> Iterator[DenoiseStep]:
        """Draw one image of the request from its own seed, a step at a time; dropping the iterator cancels."""
        request, bucket, factor = prefix.request, prefix.bucket, self.config.vae.spatial_factor
        noise = start_noise(
            seed,
            channels=self.config.vae.latent_channels,
            height=bucket.height_px // factor,
            width=bucket.width_px // factor,
        ).to(self.model.device)
        sigmas = schedule(request.num_inference_steps, shift=self.generation.flow_shift)
        steps = denoise(
            lambda latent, t: self.model.velocity(latent, t, self._branches_at(t, prefix)),
            noise,
            sigmas=sigmas,
            guidance_scale=request.guidance_scale,
        )
        while True:
            # Entered anew for each step: other images run between ours.
            with torch.inference_mode():
                step = next(steps, None)
            if step is None:
                return
            yield step

    def _branches_at(self, t: Tensor, prefix: Prefix) -> Sequence[Branch]:
        """The branches that count at t = 1000 sigma: where guidance is off, the conditional one alone."""
        return prefix.branches if t > 1000 * self.generation.guidance_min_sigma else prefix.branches[:1]

    @torch.inference_mode()
    def decode(self, latent: Tensor, prefix: Prefix) -> Pixels:
        """A finished latent as a picture: the bucket's own size, or exactly the size asked for, centre-cropped."""
        picture = self._picture(latent)
        width_px, height_px = prefix.request.width_px, prefix.request.height_px
        if width_px and height_px and picture.size != (width_px, height_px):
            picture = ImageOps.fit(picture, (width_px, height_px), Image.Resampling.LANCZOS)
        return np.asarray(picture)

    @torch.inference_mode()
    def preview(self, step: DenoiseStep) -> Pixels:
        """The picture that a running image is heading for, at most 512 pixels a side."""
        picture = self._picture(step.clean_latent)
        picture.thumbnail((PREVIEW_SIDE_PX, PREVIEW_SIDE_PX), Image.Resampling.BILINEAR)
        return np.asarray(picture)

    @torch.inference_mode()
    def choose_bucket(self, prompt: str) -> Bucket:
        """The model's own answer to the size question, in text mode."""
        question = self.template.size_question(Prompt(text=prompt))
        self._check_length(len(question))
        logits = self.model.next_token_logits(self.model.read(question, self.model.new_cache(len(question))))
        answers = [self.tokenizer.image_ratio(bucket.ratio_index) for bucket in self.buckets.usable]
        return self.buckets.usable[int(logits[answers].argmax())]

    def expand(self, prompt: str, *, seed: int) -> str:
        """The model's own detailed caption of a prompt. Raises CaptionError, PromptTooLong."""
        tokens = self.expand_by_token(prompt, seed=seed)
        while True:
            try:
                next(tokens)
            except StopIteration as end:
                return str(end.value)

    @torch.inference_mode()
    def expand_by_token(self, prompt: str, *, seed: int) -> Generator[int, None, str]:
        """The same, a token at a time; dropping the generator cancels."""
        if not self.generation.recaption:
            raise CaptionError("This checkpoint has not learned to rewrite prompts.")
        prefix = self.template.recaption_prefix(prompt)
        self._check_length(len(prefix) + 1)
        text = continue_text(
            self.model,
            prefix,
            # Any special token ends the text, so that none is left out of the caption unseen.
            stop_ids=self.tokenizer.special_ids,
            max_new_tokens=min(MAX_CAPTION_TOKENS, self.config.max_positions - len(prefix)),
            sampling=self.generation.sampling,
            seed=seed,
        )
        token_ids = []
        for token_id in text:
            token_ids.append(token_id)
            yield token_id
        *caption, end = token_ids
        if end != self.template.recaption_end_id:
            raise CaptionError(f"The model did not finish its caption of {len(token_ids)} tokens.")
        return self.tokenizer.decode(caption).strip()

    def _picture(self, latent: Tensor) -> Image.Image:
        pixels = self.model.vae.decode(latent.to(self.model.dtype)).float()
        levels = (pixels[0] / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image.fromarray(levels.permute(1, 2, 0).cpu().contiguous().numpy())

    def _bucket(self, request: TextToImage) -> Bucket:
        if request.width_px is None or request.height_px is None:
            return self.choose_bucket(request.prompt)
        return self.buckets.nearest(width_px=request.width_px, height_px=request.height_px)

    def _check_length(self, num_tokens: int) -> None:
        if num_tokens > self.config.max_positions:
            raise PromptTooLong(
                f"prompt: it and what follows need {num_tokens} tokens; this checkpoint has {self.config.max_positions}"
            )


def _count(number: int) -> str:
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"
