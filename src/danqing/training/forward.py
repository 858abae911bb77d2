"""The runtime's network run over whole sequences, with gradients: text, `<timestep>` and image in one pass.

Uses the runtime's own modules, so what is trained is what is served; a test holds the two paths together.

Letters: B samples, L text tokens, N image tokens, S = L + 1 + N, D hidden size, E experts, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from danqing.hunyuan_image3.attention import Attention
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.moe import MixtureOfExperts, route
from danqing.hunyuan_image3.rope import Rotation, image_positions, rotation, text_positions


@dataclass(frozen=True)
class Output:
    """`velocity` [B, C, h, w]; `text_logits` [B, L, V] (the token after each text token); `balance` is 1 when every
    expert gets the same share of tokens, and grows to E."""

    velocity: Tensor
    text_logits: Tensor
    balance: Tensor


def sequence_mask(num_text: int, num_image: int) -> Tensor:
    """True where a token (row) sees another: causal, image tokens see all."""
    size = num_text + 1 + num_image
    mask = torch.ones(size, size, dtype=torch.bool).tril()
    mask[num_text + 1 :] = True
    return mask


def attention(layer: Attention, x_BSD: Tensor, turn: Rotation, mask_SS: Tensor) -> Tensor:
    """Masked attention over whole sequences."""
    query_BHGSd, key_BHSd, value_BHSd = layer.project(x_BSD, turn)
    query_BHSd = query_BHGSd.flatten(2, 3) * layer.head_size**-0.5
    # Written out: on a CPU the fused kernel's backward pass takes ten times as long as these products.
    score = query_BHSd @ key_BHSd.mT
    score = score.masked_fill(~mask_SS.repeat(layer.group_size, 1), float("-inf"))
    return layer.merge((score.softmax(-1) @ value_BHSd).view_as(query_BHGSd))


def mixture(layer: MixtureOfExperts, x_TD: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's output and its balance: E times the sum over experts of token share times probability."""
    logits = layer.gate(x_TD)
    weight_TK, expert_TK = route(logits, num_experts_per_token=layer.num_experts_per_token)
    share_E = F.one_hot(expert_TK, logits.shape[-1]).float().mean((0, 1))
    balance = logits.shape[-1] * (share_E * logits.softmax(-1).mean(0)).sum()
    return layer.shared_mlp(x_TD) + layer.experts(x_TD, weight_TK, expert_TK), balance


def forward(model: HunyuanImage3, token_ids_BL: Tensor, latent_BChw: Tensor, t_B: Tensor) -> Output:
    """Predict the velocity at t = 1000 sigma for every sample."""
    L = token_ids_BL.shape[1]
    height, width = (side // model.config.patch_size for side in latent_BChw.shape[2:])
    tokens = model.patch_embed(latent_BChw.to(model.dtype), model.time_embed(t_B))
    x = torch.cat([model.model.wte(token_ids_BL), model.timestep_emb(t_B)[:, None], tokens], dim=1)
    positions = torch.cat([text_positions(0, L + 1), image_positions(L + 1, height=height, width=width)])
    turn = rotation(positions, head_size=model.config.head_size, base=model.config.rope_base)
    turn = Rotation(turn.cos_Td.to(x.device), turn.sin_Td.to(x.device))
    mask = sequence_mask(L, height * width).to(x.device)
    balances = []
    for layer in model.model.layers:
        x = x + attention(layer.self_attn, layer.input_layernorm(x), turn, mask)
        assert isinstance(layer.mlp, MixtureOfExperts)
        out, balance = mixture(layer.mlp, layer.post_attention_layernorm(x).flatten(0, 1))
        x = x + out.view_as(x)
        balances.append(balance)
    velocity = model.final_layer(x[:, L + 1 :], model.time_embed_2(t_B), height=height, width=width)
    logits = model.lm_head(model.model.ln_f(x[:, :L]))
    return Output(velocity.float(), logits.float(), torch.stack(balances).mean())
