"""Text mode: the network continues a sequence of token ids, one at a time.

Letters: V vocabulary.
"""

from collections.abc import Collection, Generator, Iterable, Sequence

import torch
from torch import Tensor

from danqing.hunyuan_image3.generation_config import TextSampling
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.pieces import finish


def penalise(logits_V: Tensor, seen_ids: Collection[int], *, penalty: float) -> Tensor:
    """Make tokens that the sequence already holds less likely: positive logits are divided, negative multiplied."""
    if penalty == 1 or not seen_ids:
        return logits_V
    seen = torch.tensor(sorted(seen_ids), device=logits_V.device)
    theirs = logits_V[seen]
    return logits_V.index_copy(0, seen, torch.where(theirs > 0, theirs / penalty, theirs * penalty))


def pick_token(logits_V: Tensor, *, sampling: TextSampling, generator: torch.Generator) -> int:
    """Choose the next token as `sampling` says."""
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    probs_V, token_V = (logits_V.float().cpu() / sampling.temperature).softmax(-1).sort(descending=True, stable=True)
    if sampling.top_k:
        probs_V[sampling.top_k :] = 0
        probs_V /= probs_V.sum()
    before_V = probs_V.cumsum(-1) - probs_V
    # The likeliest token stays whatever top_p is.
    probs_V[1:][before_V[1:] >= sampling.top_p] = 0
    return int(token_V[torch.multinomial(probs_V, 1, generator=generator)])


class TextWriter:
    """A sequence of at most `capacity` tokens, by turns given and written. The same seed writes the same text."""

    def __init__(
        self, model: HunyuanImage3, token_ids: Iterable[int], *, capacity: int, sampling: TextSampling, seed: int
    ) -> None:
        self._model, self._sampling = model, sampling
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._cache = model.new_cache(capacity)
        self._unread = list(token_ids)
        self._seen = set(self._unread)

    def append(self, token_ids: Sequence[int]) -> None:
        """Put tokens at the end of the sequence."""
        self._unread += token_ids
        self._seen.update(token_ids)

    def write(self, *, stop_ids: Collection[int], max_new_tokens: int) -> Generator[int | None, None, list[int]]:
        """Continue up to and with the first of `stop_ids`, or up to the limit; yields and returns the tokens.

        Yields None between the pieces of a long text that is read first.
        """
        written: list[int] = []
        while len(written) < max_new_tokens:
            yield from self.read()
            logits = penalise(self.logits(), self._seen, penalty=self._sampling.repetition_penalty)
            written.append(pick_token(logits, sampling=self._sampling, generator=self._generator))
            self.append(written[-1:])
            yield written[-1]
            if written[-1] in stop_ids:
                break
        return written

    def read(self) -> Generator[None, None, None]:
        """Read the appended tokens, pausing between pieces."""
        if self._unread:
            self._hidden = yield from self._model.read_by_piece(self._unread, self._cache)
            self._unread = []

    def logits(self) -> Tensor:
        """The network's logits for the next token, [V]."""
        finish(self.read())
        return self._model.next_token_logits(self._hidden)
