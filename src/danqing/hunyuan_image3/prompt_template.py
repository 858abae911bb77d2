"""The token sequences the model was trained on, built from typed segments.

A segment is tokenised on its own, so text never merges across a border. In the unconditional branch of guidance
every token of a `conditional` segment becomes `<cfg>`, one for one; everything else stays.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from danqing.hunyuan_image3.resolution import Bucket
from danqing.hunyuan_image3.tokenizer import Tokenizer

TAGGED = re.compile(r"<(think|recaption)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the caller wrote. `thinking` holds `<think>..</think>` and `<recaption>..</recaption>` (instruct only)."""

    text: str
    system: str | None = None
    thinking: str | None = None


@dataclass(frozen=True)
class Segment:
    """A run of token ids; `conditional` ones are masked in the unconditional branch."""

    token_ids: Sequence[int]
    conditional: bool = False


class PromptTemplate:
    """One of the two published sequence templates, bound to a tokenizer and a base size."""

    def __init__(self, tokenizer: Tokenizer, *, name: str, base_size_px: int) -> None:
        self._tokenizer = tokenizer
        self._segments = {"pretrain": self._pretrain, "instruct": self._instruct}[name]
        self._name = name
        self._base_size_px = base_size_px

    def image_prefix(self, prompt: Prompt, bucket: Bucket) -> list[int]:
        """Everything before `<timestep>` in the conditional branch."""
        return _join(self._segments(prompt)) + self._image_head(bucket)

    def unconditional_prefix(self, prompt: Prompt, bucket: Bucket, *, negative: str = "") -> list[int]:
        """The same for the unconditional branch; a negative text stands where the prompt stood, if there is one."""
        if negative:
            prompt = Prompt(text=negative, system=prompt.system)
            return _join(self._segments(prompt)) + self._image_head(bucket)
        masked = [
            Segment([self._tokenizer.unconditional] * len(segment.token_ids)) if segment.conditional else segment
            for segment in self._segments(prompt)
        ]
        return _join(masked) + self._image_head(bucket)

    def image_body(self, num_image_tokens: int) -> list[int]:
        """From `<timestep>` to the end of the sequence. Nothing after the image tokens can influence them."""
        tokenizer = self._tokenizer
        body = [tokenizer.timestep, *[tokenizer.image] * num_image_tokens, tokenizer.image_end]
        if self._name == "instruct":
            body += [tokenizer.special("</answer>"), *tokenizer.encode("\n\n")]
        return body

    def size_question(self, prompt: Prompt) -> list[int]:
        """The sequence whose next token is the model's own choice of `<img_ratio_R>`."""
        return [*_join(self._segments(prompt)), *self._image_head(None)]

    def recaption_prefix(self, prompt_text: str) -> list[int]:
        """The sequence that the model continues with a detailed caption, up to `recaption_end_id`."""
        prompt = Prompt(text=prompt_text)
        segments = self._user_turn(prompt) if self._name == "instruct" else self._pretrain(prompt)
        return [*_join(segments), self._tokenizer.special("<recaption>")]

    def encode(self, text: str) -> list[int]:
        """One piece of text, without special tokens."""
        return self._tokenizer.encode(text)

    @property
    def recaption_end_id(self) -> int:
        """What ends a caption: `</recaption>`."""
        return self._tokenizer.special("</recaption>")

    def _image_head(self, bucket: Bucket | None) -> list[int]:
        head = [self._tokenizer.image_begin, self._tokenizer.image_size(self._base_size_px)]
        return head if bucket is None else [*head, self._tokenizer.image_ratio(bucket.ratio_index)]

    def _pretrain(self, prompt: Prompt) -> list[Segment]:
        segments = [Segment([self._tokenizer.start]), Segment(self._tokenizer.encode(prompt.text), conditional=True)]
        return segments + self._thinking(prompt.thinking)

    def _instruct(self, prompt: Prompt) -> list[Segment]:
        answer = Segment([self._tokenizer.special("<answer>")])
        return [*self._user_turn(prompt), *self._thinking(prompt.thinking), answer]

    def _user_turn(self, prompt: Prompt) -> list[Segment]:
        encode = self._tokenizer.encode
        system = [Segment(encode(prompt.system)), Segment(encode("\n\n"))] if prompt.system else []
        return [
            Segment([self._tokenizer.start]),
            *system,
            Segment(encode("User: ")),
            Segment(encode(prompt.text), conditional=True),
            Segment(encode("\n\n")),
            Segment(encode("Assistant: ")),
        ]

    def _thinking(self, thinking: str | None) -> list[Segment]:
        segments = []
        for tag, text in TAGGED.findall(thinking or ""):
            segments += [
                Segment([self._tokenizer.special(f"<{tag}>")]),
                Segment(self._tokenizer.encode(text), conditional=True),
                Segment([self._tokenizer.special(f"</{tag}>")]),
            ]
        return segments


def _join(segments: Sequence[Segment]) -> list[int]:
    return [token_id for segment in segments for token_id in segment.token_ids]
