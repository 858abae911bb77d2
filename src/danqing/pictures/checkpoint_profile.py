"""The profile of the checkpoint that draws: what requests get where they name nothing, and what cannot act on it."""

from collections.abc import Mapping
from dataclasses import dataclass

from danqing.pictures.request import GUIDANCE_SCALE, NUM_INFERENCE_STEPS, ImageRequest


@dataclass(frozen=True, kw_only=True)
class CheckpointProfile:
    """The defaults of the fields that depend on the checkpoint; here, those of the documented model.

    `takes_negative_prompt` is false where a negative prompt cannot act at any guidance.
    """

    num_inference_steps: int = NUM_INFERENCE_STEPS.default
    guidance_scale: float = GUIDANCE_SCALE.default
    takes_negative_prompt: bool = True

    @property
    def defaults(self) -> Mapping[str, int | float]:
        """The defaults under the request's field names."""
        return {"num_inference_steps": self.num_inference_steps, "guidance_scale": self.guidance_scale}

    def warnings(self, request: ImageRequest) -> tuple[str, ...]:
        """Name every field of the request that has no effect on this checkpoint."""
        if not request.negative_prompt:
            return ()
        if not self.takes_negative_prompt:
            return ("negative_prompt: has no effect; this checkpoint is distilled and draws without one",)
        if request.guidance_scale == 1:
            return ("negative_prompt: has no effect with guidance_scale 1",)
        return ()
