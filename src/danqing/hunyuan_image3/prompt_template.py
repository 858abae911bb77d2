"""The token sequences the model was trained on, built from typed segments.

A segment is tokenised on its own, so text never merges across a border. In the unconditional branch of guidance
every token of a `conditional` segment becomes `<cfg>`, one for one; everything else stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from danqing.hunyuan_image3.errors import PromptTooLong
from danqing.hunyuan_image3.resolution import Bucket
from danqing.hunyuan_image3.tokenizer import Tokenizer

THOUGHT_TAG = "think"
CAPTION_TAG = "recaption"

# Of a prompt with everything that stands before the image. Reading takes time in proportion to their square.
MAX_TEXT_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the caller wrote, the system prompt before it, and what the model wrote about it."""

    text: str
    system: str | None = None
    thought: str | None = None
    caption: str | None = None


@dataclass(frozen=True)
class Segment:
    """A run of token ids; `conditional` ones are masked in the unconditional branch."""

    token_ids: Sequence[int]
    conditional: bool = False


class PromptTemplate:
    """One of the two published sequence templates, bound to a tokenizer and a base size.

    `condition_tokens` stand between the prefix and the image; see `ModelConfig`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        name: str,
        base_size_px: int,
        condition_tokens: Sequence[str] = ("<timestep>",),
    ) -> None:
        self._tokenizer = tokenizer
        self._is_chat = {"pretrain": False, "instruct": True}[name]
        self._base_size_px = base_size_px
        self._condition_ids = [tokenizer.special(text) for text in condition_tokens]

    def image_prefix(self, prompt: Prompt, bucket: Bucket) -> list[int]:
        """Everything before `<timestep>` in the conditional branch."""
        return [*self.size_question(prompt), self._tokenizer.image_ratio(bucket.ratio_index)]

    def unconditional_prefix(self, prompt: Prompt, bucket: Bucket, *, negative: str = "") -> list[int]:
        """The same for the unconditional branch; a negative text stands where the prompt stood, if there is one."""
        turn = self._user_turn(replace(prompt, text=negative or prompt.text), conditional=not negative)
        masked = [
            Segment([self._tokenizer.unconditional] * len(segment.token_ids)) if segment.conditional else segment
            for segment in turn + self._written(prompt)
        ]
        return [*_join(masked), *self.size_question_tail(), self._tokenizer.image_ratio(bucket.ratio_index)]

    def image_body(self, num_image_tokens: int) -> list[int]:
        """From `<timestep>` to the end of the sequence. Nothing after the image tokens can influence them."""
        tokenizer = self._tokenizer
        body = [*self._condition_ids, *[tokenizer.image] * num_image_tokens, tokenizer.image_end]
        return [*body, tokenizer.special("</answer>"), *tokenizer.encode("\n\n")] if self._is_chat else body

    def size_question(self, prompt: Prompt) -> list[int]:
        """The sequence whose next token is the model's own choice of `<img_ratio_R>`."""
        return [*_join(self._user_turn(prompt) + self._written(prompt)), *self.size_question_tail()]

    def size_question_tail(self) -> list[int]:
        """The question itself: `[<answer>] <boi> <img_size_B>`."""
        tag = [self._tokenizer.special("<answer>")] if self._is_chat else []
        return [*tag, self._tokenizer.image_begin, self._tokenizer.image_size(self._base_size_px)]

    def text_prefix(self, prompt: Prompt, *, tag: str) -> list[int]:
        """The sequence that the model continues with a text of this kind, up to `closing(tag)`."""
        return [*_join(self._user_turn(prompt)), self.opening(tag)]

    def opening(self, tag: str) -> int:
        """Id of `<tag>`."""
        return self._tokenizer.special(f"<{tag}>")

    def closing(self, tag: str) -> int:
        """Id of `</tag>`."""
        return self._tokenizer.special(f"</{tag}>")

    def encode(self, text: str) -> list[int]:
        """One piece of text, without special tokens."""
        return self._tokenizer.encode(text)

    def _user_turn(self, prompt: Prompt, *, conditional: bool = True) -> list[Segment]:
        text = Segment(self.encode(prompt.text), conditional=conditional)
        start = [Segment([self._tokenizer.start])]
        system = [Segment(self.encode(prompt.system))] if prompt.system else []
        if not self._is_chat:
            return [*start, *system, text]
        turn_end = Segment(self.encode("\n\n"))
        if system:
            system.append(turn_end)
        user, assistant = (Segment(self.encode(role)) for role in ("User: ", "Assistant: "))
        return [*start, *system, user, text, turn_end, assistant]

    def _written(self, prompt: Prompt) -> list[Segment]:
        """Thought and caption between their tags, in the order in which they are written."""
        segments = []
        for tag, text in ((THOUGHT_TAG, prompt.thought), (CAPTION_TAG, prompt.caption)):
            if text is not None:
                segments += [
                    Segment([self.opening(tag)]),
                    Segment(self.encode(text), conditional=True),
                    Segment([self.closing(tag)]),
                ]
        return segments


def check_length(num_text_tokens: int, *, num_more_tokens: int = 0, max_length: int, field: str = "prompt") -> None:
    """Check the length of a text and of the sequence that it begins.

    Raises PromptTooLong, with both numbers, for a sequence longer than the checkpoint allows and for a text over
    MAX_TEXT_TOKENS.
    """
    num_tokens = num_text_tokens + num_more_tokens
    if num_tokens > max_length:
        message = f"it and what follows need {num_tokens} tokens; this checkpoint has {max_length}"
        raise PromptTooLong(message, field=field)
    if num_text_tokens > MAX_TEXT_TOKENS:
        message = f"it is read as {num_text_tokens} tokens; at most {MAX_TEXT_TOKENS} are allowed"
        raise PromptTooLong(message, field=field)


def _join(segments: Sequence[Segment]) -> list[int]:
    return [token_id for segment in segments for token_id in segment.token_ids]
