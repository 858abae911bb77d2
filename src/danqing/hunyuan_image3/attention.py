"""Grouped-query attention over a cached prefix, the same for text and image.

Letters: B branches, T tokens of this step, L cached tokens, H key-value heads, G query heads per key-value head,
C condition tokens before the image, R rows: the tokens of all branches, d head size, D hidden size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.fusion import Region, fusible
from danqing.hunyuan_image3.kv_cache import KvCache
from danqing.hunyuan_image3.linear import Linear, linear
from danqing.hunyuan_image3.rope import Rotation, rotate

# Of one head at a time, on a CPU; 4 MiB in float32.
MAX_SCORES = 1 << 20


@fusible(Region.NORM)
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Normalise the last axis in float32, round to the input's type, then multiply by the weight."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return weight * wide.to(x.dtype)


class RmsNorm(nn.Module):
    """See rms_norm."""

    def __init__(self, size: int, *, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x.reshape(-1, x.shape[-1]), self.weight, self.eps).view(x.shape)


@fusible(Region.ROTATION)
def turned_and_normalised(
    qkv_RHSd: Tensor, cos_Rd: Tensor, sin_Rd: Tensor, query_weight: Tensor, key_weight: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Queries [R, H, G, d] and keys [R, H, d] out of each head's queries, key and value, S = G + 2 in all."""
    turned = rotate(qkv_RHSd.flatten(1, 2), Rotation(cos_Rd, sin_Rd)).view_as(qkv_RHSd)
    return rms_norm.plain(turned[:, :, :-2], query_weight, eps), rms_norm.plain(turned[:, :, -2], key_weight, eps)


def attend(query_HGTd: Tensor, key_HLd: Tensor, value_HLd: Tensor, *, causal: bool = False) -> Tensor:
    """Softmax attention, [H, G, T, d]; `causal`: the tokens are the last T keys, and see none after themselves.

    The query heads of a group are laid end to end, so that keys and values are read in place instead of being
    repeated for each of them.
    """
    H, G, T, d = query_HGTd.shape
    query_HQd = query_HGTd.reshape(H, G * T, d)
    if query_HQd.device.type == "cpu":
        # One head at a time keeps the scores small; the fused kernel reaches a third of this speed on a CPU.
        hidden_QT = _later(T, T, device=query_HQd.device).repeat(G, 1) if causal else None
        heads = zip(query_HQd * d**-0.5, key_HLd, value_HLd, strict=True)
        out = torch.stack([_attend_head(query, key, value, hidden_QT) for query, key, value in heads])
    else:
        seen_QL = ~_later(T, key_HLd.shape[1], device=query_HQd.device).repeat(G, 1) if causal else None
        # The fused kernels want a batch axis.
        out = F.scaled_dot_product_attention(query_HQd[None], key_HLd[None], value_HLd[None], attn_mask=seen_QL)[0]
    return out.view(H, G, T, d)


def _later(num_tokens: int, num_keys: int, *, device: torch.device) -> Tensor:
    """Which keys come after each of the last tokens, bool [T, L]."""
    return torch.ones(num_tokens, num_keys, dtype=torch.bool, device=device).triu(num_keys - num_tokens + 1)


def _attend_head(query_Qd: Tensor, key_Ld: Tensor, value_Ld: Tensor, hidden_QT: Tensor | None) -> Tensor:
    # In blocks of queries: the system hands out larger scores page by page, which takes as long as computing them.
    num_rows = max(1, MAX_SCORES // len(key_Ld))
    queries = query_Qd.split(num_rows)
    hidden = [None] * len(queries) if hidden_QT is None else hidden_QT.split(num_rows)
    value_dL = value_Ld.T.contiguous()
    return torch.cat([_attend_rows(*rows, key_Ld, value_dL) for rows in zip(queries, hidden, strict=True)])


def _attend_rows(query_Qd: Tensor, hidden_QT: Tensor | None, key_Ld: Tensor, value_dL: Tensor) -> Tensor:
    score_QL = linear(query_Qd, key_Ld)
    if hidden_QT is not None:
        score_QL[:, -hidden_QT.shape[1] :].masked_fill_(hidden_QT, float("-inf"))
    return linear(score_QL.softmax(-1), value_dL)


class Attention(nn.Module):
    """Rows of `qkv_proj` are grouped by key-value head: its query heads, then its key, then its value."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_kv_heads = config.num_kv_heads
        self.group_size = config.num_query_heads // config.num_kv_heads
        self.head_size = config.head_size
        self.num_condition_tokens = config.num_condition_tokens
        num_rows = config.num_kv_heads * (self.group_size + 2) * config.head_size
        self.qkv_proj = Linear(config.hidden_size, num_rows)
        self.o_proj = Linear(config.num_query_heads * config.head_size, config.hidden_size)
        self.query_layernorm = RmsNorm(config.head_size, eps=config.rms_norm_eps)
        self.key_layernorm = RmsNorm(config.head_size, eps=config.rms_norm_eps)

    def project(self, x_BTD: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, G, T, d], keys and values [B, H, T, d]; turned first, then normalised.

        Branches have rotations of their own, [B, T, d], or share one, [T, d].
        """
        B, T, _ = x_BTD.shape
        qkv_RHSd = self.qkv_proj(x_BTD).view(B * T, self.num_kv_heads, self.group_size + 2, self.head_size)
        query, key = turned_and_normalised(
            qkv_RHSd,
            rotation.cos_Td.expand(B, T, -1).flatten(0, 1),
            rotation.sin_Td.expand(B, T, -1).flatten(0, 1),
            self.query_layernorm.weight,
            self.key_layernorm.weight,
            self.query_layernorm.eps,
        )
        query_BTHGd, key_BTHd, value_BTHd = (part.unflatten(0, (B, T)) for part in (query, key, qkv_RHSd[:, :, -1]))
        return query_BTHGd.permute(0, 2, 3, 1, 4), key_BTHd.transpose(1, 2), value_BTHd.transpose(1, 2)

    def merge(self, out_BHGTd: Tensor) -> Tensor:
        """Put the heads side by side again and project to [B, T, D]."""
        B, T = out_BHGTd.shape[0], out_BHGTd.shape[3]
        return self.o_proj(out_BHGTd.permute(0, 3, 1, 2, 4).reshape(B, T, -1))

    def text(self, x_1TD: Tensor, rotation: Rotation, cache: KvCache, layer_index: int) -> Tensor:
        """Causal attention of new text tokens to the cache and to themselves."""
        query, key, value = self.project(x_1TD, rotation)
        keys, values = cache.write(layer_index, key[0], value[0])
        return self.merge(attend(query[0], keys, values, causal=True)[None])

    def image(self, x_BTD: Tensor, rotation: Rotation, caches: Sequence[KvCache], layer_index: int) -> Tensor:
        """Condition tokens, which see the prefix, those before them and themselves; then image tokens, which see
        everything."""
        query, key, value = self.project(x_BTD, rotation)
        outs, C = [], self.num_condition_tokens
        for b, cache in enumerate(caches):
            keys, values = cache.write(layer_index, key[b], value[b])
            seen = cache.length + C
            # A single token sees all of its keys and needs no mask.
            conditions = attend(query[b, :, :, :C], keys[:, :seen], values[:, :seen], causal=C > 1)
            image = attend(query[b, :, :, C:], keys, values)
            outs.append(torch.cat([conditions, image], dim=2))
        return self.merge(torch.stack(outs))
