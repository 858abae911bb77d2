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
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.errors import CaptionError
from danqing.hunyuan_image3.generation_config import parse_generation_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.model import Branch, num_parameters
from danqing.hunyuan_image3.pieces import finish
from danqing.hunyuan_image3.placement.fitting import plan_folder
from danqing.hunyuan_image3.placement.machine import machine
from danqing.hunyuan_image3.placement.plan import Machine
from danqing.hunyuan_image3.precision import Precision, check_support, fastest_precision
from danqing.hunyuan_image3.prompt_reading import CHECKPOINTS_OWN, PromptReading, PromptSettings
from danqing.hunyuan_image3.prompt_template import Prompt, PromptTemplate, check_length
from danqing.hunyuan_image3.resolution import Bucket, Buckets
from danqing.hunyuan_image3.sampler import Conditions, DenoiseStep, denoise, schedule, start_noise
from danqing.hunyuan_image3.step_reuse import ReusedPredictions, StepReuse, reused_steps
from danqing.hunyuan_image3.text_stage import Expansion, TextStage
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.hunyuan_image3.warm_up import warm_up
from danqing.hunyuan_image3.weights import check_stored, load_placed, stored_precision

Pixels = npt.NDArray[np.uint8]  # [H, W, 3]
PREVIEW_SIDE_PX = 512


@dataclass(frozen=True, kw_only=True)
class TextToImage:
    """One request. Without a size the model chooses the aspect ratio.

    `thought` and `caption` are what the model wrote about the prompt in an expansion, unchanged.
    """

    prompt: str
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str = ""
    thought: str | None = None
    caption: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    step_reuse: StepReuse = StepReuse.NONE


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
        machine: Machine,
        prompt_settings: PromptSettings,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.config = parse_model_config(read_json(folder / "config.json"))
        self.generation = parse_generation_config(read_json(folder / "generation_config.json"))
        self.tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
        self.template = PromptTemplate(
            self.tokenizer,
            name=self.generation.template,
            base_size_px=self.config.base_size_px,
            condition_tokens=self.config.condition_tokens,
        )
        self.reading = PromptReading(folder, self.generation, prompt_settings)
        self.buckets = Buckets.of_checkpoint(self.config, self.tokenizer)
        self.max_length = min(self.config.max_positions, self.generation.max_length or self.config.max_positions)
        self.plan = plan_folder(folder, self.config, precision, machine)
        self.model = load_placed(folder, self.config, precision=precision, plan=self.plan, on_progress=on_progress)
        self.text_stage = TextStage(
            self.model,
            self.tokenizer,
            self.template,
            buckets=self.buckets,
            sampling=self.generation.sampling,
            max_length=self.max_length,
        )
        size = _count(num_parameters(self.config))
        devices = ", ".join(device.name for device in machine.devices)
        self.description = f"{checkpoint_name(folder)} ({size} parameters, {precision}, {devices})"

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        precision: Precision | None = None,
        device: str = "cpu",
        device_memory: int | None = None,
        host_memory: int | None = None,
        prompt_settings: PromptSettings = CHECKPOINTS_OWN,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "Pipeline":
        """Load a checkpoint folder; without a `precision`, as it is stored or in the fastest one that loses nothing.

        `device` may name several, with commas between; at most `device_memory` bytes of each are used, and
        `host_memory` of the host. Raises CheckpointError naming the file or key, PlacementError and UnsupportedDevice.
        """
        check_folder(folder)
        there = machine(device, device_memory=device_memory, host_memory=host_memory)
        where = torch.device(there.devices[0].name)
        stored = stored_precision(folder)
        chosen = precision or fastest_precision(where, stored=stored)
        check_stored(chosen, stored)
        for each in there.devices:
            check_support(chosen, torch.device(each.name))
        return cls(folder, precision=chosen, machine=there, prompt_settings=prompt_settings, on_progress=on_progress)

    def fuse(self, on_progress: Callable[[int, int], None]) -> None:
        """Compile the network's fusible regions, in this process for good. Raises CompilationFailed."""
        height, width = self._grid(self.buckets.usable[0])
        warm_up(self.model, height=height, width=width, on_progress=on_progress)

    def prefill(self, request: TextToImage) -> Prefix:
        """`prefill_by_piece` without pauses."""
        return finish(self.prefill_by_piece(request))

    @torch.inference_mode()
    def prefill_by_piece(self, request: TextToImage) -> Generator[None, None, Prefix]:
        """Read the text, and choose a size where the request has none; pauses after each piece.

        A distilled checkpoint and guidance 1 need one branch; a negative prompt takes the place of `<cfg>` in the
        other. Raises PromptTooLong.
        """
        prompt = self._prompt(request)
        bucket = yield from self._bucket(request, prompt)
        prefixes = [self.template.image_prefix(prompt, bucket)]
        if request.guidance_scale != 1 and not self.config.cfg_distilled:
            prefixes.append(self.template.unconditional_prefix(prompt, bucket, negative=request.negative_prompt))
        height, width = self._grid(bucket)
        num_image_tokens = self.config.num_condition_tokens + height * width
        # Without a negative prompt both prefixes have the same length.
        for field, prefix in zip(("prompt", "negative_prompt"), prefixes, strict=False):
            check_length(len(prefix), num_more_tokens=num_image_tokens, max_length=self.max_length, field=field)
        branches = []
        for prefix in prefixes:
            branches.append((yield from self.model.branch_by_piece(prefix, height=height, width=width)))
            yield
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
        predict = ReusedPredictions(
            lambda latent, at: self.model.velocity(latent, at, self._branches_at(at, prefix)),
            reused=reused_steps(request.step_reuse, num_steps=request.num_inference_steps),
        )
        steps = denoise(
            # A reused step may follow the last one with guidance.
            lambda latent, at: predict(latent, at)[: len(self._branches_at(at, prefix))],
            noise,
            sigmas=sigmas,
            guidance_scale=request.guidance_scale,
            max_push=self.generation.guidance_max_push,
        )
        while True:
            # Entered anew for each step: other images run between ours.
            with torch.inference_mode():
                step = next(steps, None)
            if step is None:
                return
            yield step

    def _branches_at(self, conditions: Conditions, prefix: Prefix) -> Sequence[Branch]:
        """The branches that count at this time: where guidance is off, the conditional one alone."""
        return prefix.branches if conditions.t > 1000 * self.generation.guidance_min_sigma else prefix.branches[:1]

    @torch.inference_mode()
    def decode(self, latent: Tensor, prefix: Prefix) -> Pixels:
        """A finished latent as a picture: the bucket's own size, or exactly the size asked for, centre-cropped."""
        image = self._image(latent)
        width_px, height_px = prefix.request.width_px, prefix.request.height_px
        if width_px and height_px and image.size != (width_px, height_px):
            image = ImageOps.fit(image, (width_px, height_px), Image.Resampling.LANCZOS)
        return np.asarray(image)

    @torch.inference_mode()
    def preview(self, step: DenoiseStep) -> Pixels:
        """The picture that a running image is heading for, at most 512 pixels a side."""
        image = self._image(step.clean_latent)
        image.thumbnail((PREVIEW_SIDE_PX, PREVIEW_SIDE_PX), Image.Resampling.BILINEAR)
        return np.asarray(image)

    @torch.inference_mode()
    def choose_bucket(self, request: TextToImage) -> Bucket:
        """The model's own choice of size. Raises PromptTooLong."""
        return finish(self.text_stage.choose_bucket(self._prompt(request)))

    def expand(self, prompt: str, *, seed: int, choose_size: bool = False) -> Expansion:
        """What the model writes about a prompt, the same for the same seed, and the size it then chooses if wanted.

        Raises CaptionError, PromptTooLong.
        """
        return finish(self.expand_by_token(prompt, seed=seed, choose_size=choose_size))

    @torch.inference_mode()
    def expand_by_token(
        self, prompt: str, *, seed: int, choose_size: bool = False
    ) -> Generator[int | None, None, Expansion]:
        """The same, a token at a time, with None after a piece of a long prompt; dropping the generator cancels."""
        if not self.generation.expands:
            raise CaptionError("This checkpoint has not learned to expand prompts.")
        return (
            yield from self.text_stage.expand(
                self.reading.to_expand(prompt),
                task=self.reading.text_task,
                seed=seed,
                # With the plain template the caption takes the prompt's place, and the question comes with it.
                choose_size=choose_size and self.generation.template == "instruct",
            )
        )

    def _image(self, latent: Tensor) -> Image.Image:
        pixels = self.model.vae.decode(latent.to(self.model.dtype)).float()
        levels = (pixels[0] / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image.fromarray(levels.permute(1, 2, 0).cpu().contiguous().numpy())

    def _grid(self, bucket: Bucket) -> tuple[int, int]:
        """Height and width in tokens."""
        return bucket.height_px // self.config.pixels_per_token, bucket.width_px // self.config.pixels_per_token

    def _prompt(self, request: TextToImage) -> Prompt:
        return self.reading.to_draw(request.prompt, thought=request.thought, caption=request.caption)

    def _bucket(self, request: TextToImage, prompt: Prompt) -> Generator[None, None, Bucket]:
        if request.width_px is None or request.height_px is None:
            bucket = yield from self.text_stage.choose_bucket(prompt)
            yield
            return bucket
        return self.buckets.nearest(width_px=request.width_px, height_px=request.height_px)


def _count(number: int) -> str:
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"
