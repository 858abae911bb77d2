"""`generation_config.json` of a checkpoint: its defaults for drawing, and how it reads prompts and writes text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.json_fields import count, take

WHERE = "generation_config.json"
TEMPLATES = ("pretrain", "instruct")
NO_SYSTEM_PROMPT = "None"


class TextTask(StrEnum):
    """What the model writes before it draws, under the published names: a thought, a caption, or both in this order."""

    THINK = "think"
    RECAPTION = "recaption"
    THINK_RECAPTION = "think_recaption"


@dataclass(frozen=True, kw_only=True)
class TextSampling:
    """How a next token is chosen: the likeliest at `temperature` 0, otherwise sampled.

    Sampling is among the `top_k` likeliest (0: all), and of those the fewest that together hold `top_p`. Tokens that
    the sequence already holds are made less likely by `repetition_penalty` (1: they are not).
    """

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float = 1.0


GREEDY = TextSampling(temperature=0.0, top_k=0, top_p=1.0)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """The checkpoint's own defaults.

    `expands`: it has learned to expand a prompt, by `text_task`. `system_prompt` is the name of its system prompt, and
    `drop_think` leaves the thought out of the drawing. `max_length` is the longest sequence in tokens, where there is
    one. Guidance acts at noise levels above `guidance_min_sigma` only. `guidance_max_push` bounds its push at each
    point of the latent, as a multiple of the conditional velocity; None is no bound.
    """

    num_steps: int
    guidance_scale: float
    guidance_min_sigma: float
    guidance_max_push: float | None
    flow_shift: float
    template: str
    expands: bool
    text_task: TextTask
    system_prompt: str
    drop_think: bool
    max_length: int | None
    sampling: TextSampling


def parse_generation_config(values: Mapping[str, Any]) -> GenerationConfig:
    """Check the contents of `generation_config.json`. Raises CheckpointError naming the key."""
    template = values.get("sequence_template", "pretrain")
    if template not in TEMPLATES:
        raise CheckpointError(f"{WHERE}: 'sequence_template' is {template!r}; allowed are {TEMPLATES}")
    # `recaption` is ours: of the published weights, which lack it, those with the `instruct` template have learned to.
    # So are `guidance_min_sigma` and `guidance_max_push`; without them guidance acts in every step, without a bound, as
    # published.
    values = {"recaption": template == "instruct", "drop_think": False, "guidance_min_sigma": 0.0, **values}
    guidance_min_sigma = take(values, "guidance_min_sigma", float, where=WHERE)
    if not 0 <= guidance_min_sigma <= 1:
        raise CheckpointError(f"{WHERE}: 'guidance_min_sigma' is {guidance_min_sigma}; it must lie between 0 and 1")
    return GenerationConfig(
        num_steps=count(values, "diff_infer_steps", where=WHERE),
        guidance_scale=take(values, "diff_guidance_scale", float, where=WHERE),
        guidance_min_sigma=guidance_min_sigma,
        guidance_max_push=_max_push(values),
        flow_shift=take(values, "flow_shift", float, where=WHERE),
        template=template,
        expands=take(values, "recaption", bool, where=WHERE),
        text_task=_text_task(values.get("bot_task"), template=template),
        # Absent and null mean none.
        system_prompt=take(
            {**values, "use_system_prompt": values.get("use_system_prompt") or NO_SYSTEM_PROMPT},
            "use_system_prompt",
            str,
            where=WHERE,
        ),
        drop_think=take(values, "drop_think", bool, where=WHERE),
        max_length=count(values, "max_length", where=WHERE) if values.get("max_length") is not None else None,
        sampling=_sampling(values),
    )


def _max_push(values: Mapping[str, Any]) -> float | None:
    """The bound where the checkpoint has one. Without guidance at all, a checkpoint has scale 1 instead of bound 0."""
    if "guidance_max_push" not in values:
        return None
    max_push = take(values, "guidance_max_push", float, where=WHERE)
    if not 0 < max_push < math.inf:
        raise CheckpointError(f"{WHERE}: 'guidance_max_push' is {max_push}; it must be a number above 0")
    return max_push


def _text_task(bot_task: Any, *, template: str) -> TextTask:
    """`bot_task` also names tasks that write no text; the recommended one stands in for those."""
    if template == "pretrain":
        # The plain template has no thinking; ours with `recaption` have learned captions.
        return TextTask.RECAPTION
    return TextTask(bot_task) if bot_task in list(TextTask) else TextTask.THINK_RECAPTION


def _sampling(values: Mapping[str, Any]) -> TextSampling:
    values = {"do_sample": False, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, **values}
    penalty = take(values, "repetition_penalty", float, where=WHERE)
    if penalty <= 0:
        raise CheckpointError(f"{WHERE}: 'repetition_penalty' must be above 0, not {penalty:g}")
    if not take(values, "do_sample", bool, where=WHERE):
        return TextSampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=penalty)
    temperature, top_p = (take(values, key, float, where=WHERE) for key in ("temperature", "top_p"))
    if temperature <= 0 or not 0 < top_p <= 1:
        raise CheckpointError(f"{WHERE}: 'temperature' must be above 0 and 'top_p' above 0 and at most 1")
    return TextSampling(
        temperature=temperature,
        top_k=count(values, "top_k", where=WHERE, minimum=0),
        top_p=top_p,
        repetition_penalty=penalty,
    )
