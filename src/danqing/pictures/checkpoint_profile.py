"""The profile of the checkpoint that draws: what requests get where they name nothing, and what cannot act on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from danqing.pictures.request import GUIDANCE_SCALE, NO_STEP_REUSE, NUM_INFERENCE_STEPS, ImageRequest
from danqing.pictures.vocabulary import Vocabulary

# With fewer, the lines of step reuse are too coarse; see results/2026-11-28-step-reuse.md.
MIN_STEPS_FOR_REUSE = 12


@dataclass(frozen=True, kw_only=True)
class CheckpointProfile:
    """The defaults of the fields that depend on the checkpoint; here, those of the documented model.

    `takes_negative_prompt` is false where a negative prompt cannot act at any guidance, `expands` where nothing expands
    prompts. `reuse_hindrance`: why no step can be reused, empty where it can. `vocabulary`: the words that the
    checkpoint knows; None where that is unknown.
    """

    num_inference_steps: int = NUM_INFERENCE_STEPS.default
    guidance_scale: float = GUIDANCE_SCALE.default
    step_reuse: str = NO_STEP_REUSE
    takes_negative_prompt: bool = True
    expands: bool = True
    reuse_hindrance: str = ""
    vocabulary: Vocabulary | None = None

    @property
    def defaults(self) -> Mapping[str, int | float | str]:
        """The defaults under the request's field names."""
        return {
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": self.guidance_scale,
            "step_reuse": self.step_reuse,
        }

    @property
    def without_effect(self) -> Mapping[str, str]:
        """The fields of a request that never have an effect, each with the reason."""
        reasons = {}
        if not self.takes_negative_prompt:
            reasons["negative_prompt"] = "this checkpoint is distilled and draws without one"
        if not self.expands:
            reasons["enable_prompt_expansion"] = "neither this checkpoint nor another model here expands prompts"
        if self.reuse_hindrance:
            reasons["step_reuse"] = self.reuse_hindrance
        return reasons

    def effective(self, request: ImageRequest) -> ImageRequest:
        """Return the request as it is drawn: without a step reuse that cannot act."""
        return replace(request, step_reuse=NO_STEP_REUSE) if self._step_reuse_warning(request) else request

    def warnings(self, request: ImageRequest) -> tuple[str, ...]:
        """Name the words of the prompt that the checkpoint does not know, and fields that have no effect.

        An expansion that fails says so itself, when it is tried.
        """
        unknown = self.vocabulary.warning(request.prompt) if self.vocabulary else None
        fields = (self._negative_prompt_warning(request), self._step_reuse_warning(request))
        return tuple(warning for warning in (unknown, *fields) if warning)

    def _negative_prompt_warning(self, request: ImageRequest) -> str | None:
        if not request.negative_prompt:
            return None
        if not self.takes_negative_prompt:
            return f"negative_prompt: has no effect; {self.without_effect['negative_prompt']}"
        if request.guidance_scale == 1:
            return "negative_prompt: has no effect with guidance_scale 1"
        return None

    def _step_reuse_warning(self, request: ImageRequest) -> str | None:
        if request.step_reuse == NO_STEP_REUSE:
            return None
        if self.reuse_hindrance:
            return f"step_reuse: has no effect; {self.reuse_hindrance}"
        if request.num_inference_steps < MIN_STEPS_FOR_REUSE:
            return f"step_reuse: has no effect with fewer than {MIN_STEPS_FOR_REUSE} num_inference_steps"
        return None
