"""The profile of the checkpoint that draws: what requests get where they name nothing, and what cannot act on it."""

from collections.abc import Mapping
from dataclasses import dataclass

from danqing.pictures.request import GUIDANCE_SCALE, NUM_INFERENCE_STEPS, ImageRequest
from danqing.pictures.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class CheckpointProfile:
    """The defaults of the fields that depend on the checkpoint; here, those of the documented model.

    `takes_negative_prompt` is false where a negative prompt cannot act at any guidance, `expands` where nothing expands
    prompts. `vocabulary`: the words that the checkpoint knows; None where that is unknown.
    """

    num_inference_steps: int = NUM_INFERENCE_STEPS.default
    guidance_scale: float = GUIDANCE_SCALE.default
    takes_negative_prompt: bool = True
    expands: bool = True
    vocabulary: Vocabulary | None = None

    @property
    def defaults(self) -> Mapping[str, int | float]:
        """The defaults under the request's field names."""
        return {"num_inference_steps": self.num_inference_steps, "guidance_scale": self.guidance_scale}

    @property
    def without_effect(self) -> Mapping[str, str]:
        """The fields of a request that never have an effect, each with the reason."""
        reasons = {}
        if not self.takes_negative_prompt:
            reasons["negative_prompt"] = "this checkpoint is distilled and draws without one"
        if not self.expands:
            reasons["enable_prompt_expansion"] = "neither this checkpoint nor another model here expands prompts"
        return reasons

    def warnings(self, request: ImageRequest) -> tuple[str, ...]:
        """Name the words of the prompt that the checkpoint does not know, and a negative prompt without effect.

        An expansion that fails says so itself, when it is tried.
        """
        unknown = self.vocabulary.warning(request.prompt) if self.vocabulary else None
        return tuple(warning for warning in (unknown, self._negative_prompt_warning(request)) if warning)

    def _negative_prompt_warning(self, request: ImageRequest) -> str | None:
        if not request.negative_prompt:
            return None
        if not self.takes_negative_prompt:
            return f"negative_prompt: has no effect; {self.without_effect['negative_prompt']}"
        if request.guidance_scale == 1:
            return "negative_prompt: has no effect with guidance_scale 1"
        return None
