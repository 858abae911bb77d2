"""The keys and values of one sequence. They belong to a request, never to a layer.

Letters: L tokens kept, T tokens of this step, H key-value heads, d head size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class KvCache:
    """Room for `capacity` tokens per layer. Tokens up to `length` are kept; a step may borrow the room after them."""

    def __init__(
        self,
        *,
        layer_devices: Sequence[torch.device],
        capacity: int,
        num_heads: int,
        head_size: int,
        dtype: torch.dtype,
    ) -> None:
        """Each layer's keys and values are on its device."""
        self.length, self.capacity = 0, capacity
        shape = (2, num_heads, capacity, head_size)
        self._stores = [torch.empty(shape, dtype=dtype, device=device) for device in layer_devices]

    def write(self, layer_index: int, key_HTd: Tensor, value_HTd: Tensor) -> tuple[Tensor, Tensor]:
        """Put this step's keys and values after the kept ones; returns views of both together, [H, L + T, d].

        They stay only if `keep` follows; otherwise the next step overwrites them.
        """
        end = self.length + key_HTd.shape[1]
        store = self._stores[layer_index][:, :, :end]
        store[0, :, self.length :] = key_HTd
        store[1, :, self.length :] = value_HTd
        return store[0], store[1]

    def keep(self, num_tokens: int) -> None:
        """Keep the tokens that every layer has just written."""
        self.length += num_tokens
