"""Text mode: the network continues a sequence token by token. Knows token ids, not what they mean.

Letters: V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from danqing.hunyuan_image3.model import HunyuanImage3


def pick_token(logits_V: Tensor, *, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """The next token: the likeliest where temperature is 0, else drawn from the smallest set that holds `top_p`."""
    if temperature == 0:
        return int(logits_V.argmax())
    probs_V, token_V = (logits_V.float().cpu() / temperature).softmax(-1).sort(descending=True, stable=True)
    before_V = probs_V.cumsum(-1) - probs_V
    # The likeliest token stays whatever top_p is.
    probs_V[1:][before_V[1:] >= top_p] = 0
    return int(token_V[torch.multinomial(probs_V, 1, generator=generator)])


def continue_text(
    model: HunyuanImage3,
    token_ids: Sequence[int],
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[int]:
    """The tokens that follow `token_ids`, up to the first of `stop_ids` (left out) or the limit.

    The same seed continues the same way.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    cache = model.new_cache(len(token_ids) + max_new_tokens)
    hidden = model.read(token_ids, cache)
    new_ids: list[int] = []
    while True:
        logits = model.next_token_logits(hidden)
        token_id = pick_token(logits, temperature=temperature, top_p=top_p, generator=generator)
        if token_id in stop_ids:
            return new_ids
        new_ids.append(token_id)
        if len(new_ids) == max_new_tokens:
            return new_ids
        hidden = model.read([token_id], cache)
