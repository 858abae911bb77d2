"""Text mode: the network continues a sequence of token ids, one at a time.

Letters: V vocabulary.
"""

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from danqing.hunyuan_image3.config import TextSampling
from danqing.hunyuan_image3.model import HunyuanImage3


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


def continue_text(
    model: HunyuanImage3,
    token_ids: Sequence[int],
    *,
    stop_ids: Collection[int],
    max_new_tokens: int,
    sampling: TextSampling,
    seed: int,
) -> Iterator[int]:
    """The tokens that follow `token_ids`, one by one, up to and with the first of `stop_ids`, or up to the limit.

    The same seed continues the same way.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    cache = model.new_cache(len(token_ids) + max_new_tokens)
    hidden = model.read(token_ids, cache)
    for _ in range(max_new_tokens):
        token_id = pick_token(model.next_token_logits(hidden), sampling=sampling, generator=generator)
        yield token_id
        if token_id in stop_ids:
            return
        hidden = model.read([token_id], cache)
