"""The text stage: what the model writes and decides before it draws, which is a thought, a caption and a size."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from torch import Tensor

from danqing.hunyuan_image3.errors import CaptionError
from danqing.hunyuan_image3.generation_config import TextSampling, TextTask
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.prompt_template import CAPTION_TAG, THOUGHT_TAG, Prompt, PromptTemplate, check_length
from danqing.hunyuan_image3.resolution import Bucket, Buckets
from danqing.hunyuan_image3.text import TextWriter
from danqing.hunyuan_image3.tokenizer import Tokenizer

# Thought and caption together, tags included.
MAX_NEW_TOKENS = 2048


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What the model wrote about a prompt, and the size it chose where it was asked for one."""

    thought: str | None = None
    caption: str | None = None
    bucket: Bucket | None = None


class TextStage:
    """Text mode of one checkpoint."""

    def __init__(
        self,
        model: HunyuanImage3,
        tokenizer: Tokenizer,
        template: PromptTemplate,
        *,
        buckets: Buckets,
        sampling: TextSampling,
        max_length: int,
    ) -> None:
        self._model, self._tokenizer, self._template = model, tokenizer, template
        self._sampling, self._max_length = sampling, max_length
        self._buckets: Sequence[Bucket] = buckets.usable
        self._ratio_ids = [tokenizer.image_ratio(bucket.ratio_index) for bucket in buckets.usable]

    def choose_bucket(self, prompt: Prompt) -> Generator[None, None, Bucket]:
        """The model's own choice of size, made piece by piece. Raises PromptTooLong."""
        question = self._template.size_question(prompt)
        check_length(len(question), max_length=self._max_length)
        hidden = yield from self._model.read_by_piece(question, self._model.new_cache(len(question)))
        return self._likeliest(self._model.next_token_logits(hidden))

    def expand(
        self, prompt: Prompt, *, task: TextTask, seed: int, choose_size: bool
    ) -> Generator[int | None, None, Expansion]:
        """Write what the task asks for, then choose a size if wanted; yields token by token, returns the expansion.

        Each part runs up to its closing tag, and nothing else ends it. Between the pieces of a long text that is read
        first, None is yielded. Raises CaptionError when a tag does not come within the limit, and PromptTooLong.
        """
        template = self._template
        question = template.size_question_tail() if choose_size else []
        first, *rest = task.split("_")
        prefix = template.text_prefix(prompt, tag=first)
        check_length(len(prefix), num_more_tokens=1 + len(question), max_length=self._max_length)
        room = min(MAX_NEW_TOKENS, self._max_length - len(prefix) - len(question))
        writer = TextWriter(
            self._model, prefix, capacity=len(prefix) + room + len(question), sampling=self._sampling, seed=seed
        )
        parts = {first: (yield from self._write(writer, first, room=room))}
        for tag in rest:
            # The model is not asked whether it wants to go on: the next tag is put after the last.
            writer.append([template.opening(tag)])
            room -= len(parts[first]) + 2
            parts[tag] = yield from self._write(writer, tag, room=room)
        writer.append(question)
        yield from writer.read()
        texts = {tag: self._tokenizer.decode(token_ids) for tag, token_ids in parts.items()}
        return Expansion(
            thought=texts.get(THOUGHT_TAG),
            caption=texts.get(CAPTION_TAG),
            bucket=self._likeliest(writer.logits()) if choose_size else None,
        )

    def _write(self, writer: TextWriter, tag: str, *, room: int) -> Generator[int | None, None, list[int]]:
        """One part, without its closing tag."""
        end = self._template.closing(tag)
        # `</recaption>` ends a thought too, and leaves it without its own tag.
        written = yield from writer.write(
            stop_ids={end, self._template.closing(CAPTION_TAG)}, max_new_tokens=max(room, 0)
        )
        if not written or written[-1] != end:
            what = "caption" if tag == CAPTION_TAG else "thought"
            raise CaptionError(f"The model did not finish its {what} of {len(written)} tokens.")
        return written[:-1]

    def _likeliest(self, logits_V: Tensor) -> Bucket:
        return self._buckets[int(logits_V[self._ratio_ids].argmax())]
