"""The request for images: one record with its ranges, defaults and seeds, and the expansion of its prompt.

The API, the command line, the jobs and the engines share it. A job stores it as it is, so a new field needs a default.
"""

import secrets
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Range(Generic[Number]):
    """The numbers that a field takes, both ends included, and the one used when it is left out."""

    least: Number
    most: Number
    default: Number

    def nearest(self, number: Number) -> Number:
        """Return the number of the range that is nearest to this one."""
        return min(max(number, self.least), self.most)


MODEL_ID = "hunyuan/hunyuan-image-v3-text-to-image"
MAX_PROMPT_CHARACTERS = 4000
NUM_IMAGES = Range(1, 4, default=1)
NUM_INFERENCE_STEPS = Range(1, 50, default=28)
GUIDANCE_SCALE = Range(1.0, 20.0, default=7.5)
OUTPUT_FORMATS = ("jpeg", "png")
NO_STEP_REUSE: Final = "none"
# The share of the steps that do without the network.
STEP_REUSES = (NO_STEP_REUSE, "third", "half")
# The quality of a JPEG.
OUTPUT_COMPRESSION = Range(0, 100, default=95)
MAX_SEED = 2**63 - 1
# Sampled seeds stay within 32 bits: short enough to note down, and exact in every JSON parser.
MAX_SAMPLED_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A validated request for `num_images` images.

    `seed` lies within 1..MAX_SEED. `width_px` and `height_px` are the exact size of the result; both are None when the
    model chooses. `output_compression` None means the default quality. `preview_every_steps` 0 means no previews.
    """

    prompt: str
    seed: int
    width_px: int | None
    height_px: int | None
    model: str = MODEL_ID
    negative_prompt: str = ""
    num_images: int = NUM_IMAGES.default
    num_inference_steps: int = NUM_INFERENCE_STEPS.default
    guidance_scale: float = GUIDANCE_SCALE.default
    enable_safety_checker: bool = True
    enable_prompt_expansion: bool = False
    output_format: str = "png"
    output_compression: int | None = None
    preview_every_steps: int = 0
    step_reuse: str = NO_STEP_REUSE

    def image_seed(self, image_index: int) -> int:
        """Return the seed of one image: image 2 of a seed is image 1 of the next; 1 follows MAX_SEED."""
        return fold_seed(self.seed + image_index)


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What the drawing model made of a request's prompt.

    `caption` is the richer prompt, `thought` the reasoning before it, which is never shown; one of the two may be
    missing. Both are kept as the model wrote them. The size is the model's choice for a request without one.
    """

    caption: str | None = None
    thought: str | None = None
    width_px: int | None = None
    height_px: int | None = None


def fold_seed(seed: int) -> int:
    """Map any positive integer onto 1..MAX_SEED; integers in that range map to themselves."""
    return 1 + (seed - 1) % MAX_SEED


def sample_seed() -> int:
    """Return a random seed for a request that names none."""
    return 1 + secrets.randbelow(MAX_SAMPLED_SEED)
