"""The forward pass of training: whole sequences of text, `<timestep>` and image at once, with gradients.

It calls the runtime's own modules, so the trained network is the served one; a test compares the two paths.

Letters: B samples, L text tokens, N image tokens, S = L + 1 + N, T = B * S, D hidden size, E experts, W expert width,
V vocabulary, H key-value heads, G query heads of each, Q = G * S.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from danqing.hunyuan_image3.attention import Attention
from danqing.hunyuan_image3.experts import Experts, gated
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.moe import MixtureOfExperts, route
from danqing.hunyuan_image3.rope import Rotation, image_positions, rotation, text_positions
from danqing.hunyuan_image3.transformer import Layer


@dataclass(frozen=True)
class Output:
    """`velocity` [B, C, h, w]; `text_logits` [B, L, V] (the token after each text token); `balance` is 1 when every
    expert gets the same share of tokens, and grows to E; `probed` [B, N, D] is what the probe reads."""

    velocity: Tensor
    text_logits: Tensor
    balance: Tensor
    probed: Tensor


def sequence_mask(num_text: int, num_image: int, num_pads_B: Tensor) -> Tensor:
    """True where a token (row) sees another, [B, S, S]: causal, image tokens see all, none sees padding before it.

    Padding sees itself, so that no row is empty.
    """
    size = num_text + 1 + num_image
    mask = torch.ones(size, size, dtype=torch.bool, device=num_pads_B.device).tril()
    mask[num_text + 1 :] = True
    is_token = torch.arange(size, device=num_pads_B.device) >= num_pads_B[:, None]
    return (mask & is_token[:, None, :]) | torch.eye(size, dtype=torch.bool, device=num_pads_B.device)


def attention(layer: Attention, x_BSD: Tensor, turn: Rotation, bias_BSS: Tensor) -> Tensor:
    """Masked attention over whole sequences; the bias is 0 where a token sees another and -inf elsewhere."""
    query_BHGSd, key_BHSd, value_BHSd = layer.project(x_BSD, turn)
    query_BHQd = query_BHGSd.flatten(2, 3) * layer.head_size**-0.5
    # Written out: on a CPU the fused kernel's backward pass takes ten times as long as these products.
    score_BHQS = query_BHQd @ key_BHSd.mT
    score_BHQS = score_BHQS + bias_BSS.repeat(1, layer.group_size, 1)[:, None]
    return layer.merge((score_BHQS.softmax(-1) @ value_BHSd).view_as(query_BHGSd))


def experts_at_once(layer: Experts, x_TD: Tensor, weight_TE: Tensor) -> Tensor:
    """The same sum as `layer` gives, with every expert run on every token: three products and no waiting for counts."""
    E, _, W = layer.down_proj.shape
    hidden_TEW = gated(F.linear(x_TD, layer.gate_and_up_proj.flatten(0, 1)).unflatten(-1, (E, 2 * W)))
    weighted_TEW = hidden_TEW * weight_TE[..., None].to(x_TD.dtype)
    return weighted_TEW.flatten(1) @ layer.down_proj.transpose(1, 2).flatten(0, 1)


def mixture(layer: MixtureOfExperts, x_TD: Tensor, *, at_once: bool) -> tuple[Tensor, Tensor]:
    """The layer's output and its balance: E times the sum over experts of token share times probability."""
    logits = layer.gate(x_TD)
    weight_TK, expert_TK = route(logits, num_experts_per_token=layer.num_experts_per_token)
    share_E = F.one_hot(expert_TK, logits.shape[-1]).float().mean((0, 1))
    balance = logits.shape[-1] * (share_E * logits.softmax(-1).mean(0)).sum()
    if at_once:
        out = experts_at_once(layer.experts, x_TD, torch.zeros_like(logits).scatter(1, expert_TK, weight_TK))
    else:
        out = layer.experts(x_TD, weight_TK, expert_TK)
    return layer.shared_mlp(x_TD) + out, balance


def layer_step(
    layer: Layer, x_BSD: Tensor, turn: Rotation, bias_BSS: Tensor, *, at_once: bool
) -> tuple[Tensor, Tensor]:
    """One layer: what it writes and its balance."""
    assert isinstance(layer.mlp, MixtureOfExperts)
    x = x_BSD + attention(layer.self_attn, layer.input_layernorm(x_BSD), turn, bias_BSS)
    out, balance = mixture(layer.mlp, layer.post_attention_layernorm(x).flatten(0, 1), at_once=at_once)
    return x + out.view_as(x), balance


@cache
def fused_layer_step() -> Callable[..., tuple[Tensor, Tensor]]:
    """`layer_step` compiled once for all sizes; its many small steps cost more than its products."""
    return torch.compile(layer_step, dynamic=True)


def run_layers(
    model: HunyuanImage3, x_BSD: Tensor, positions_S2: Tensor, mask_BSS: Tensor, *, fused: bool
) -> tuple[list[Tensor], Tensor]:
    """What every layer writes, [B, S, D] each, and the mean balance.

    `fused` compiles the layers, which takes most of a minute and, on a CPU, a C++ compiler; a step then takes half
    the time.
    """
    turn = rotation(positions_S2, head_size=model.config.head_size, base=model.config.rope_base)
    turn = Rotation(turn.cos_Td.to(x_BSD.device), turn.sin_Td.to(x_BSD.device))
    bias_BSS = torch.zeros(mask_BSS.shape, dtype=x_BSD.dtype, device=x_BSD.device).masked_fill(~mask_BSS, float("-inf"))
    step = fused_layer_step() if fused else layer_step
    outs, balances, x = [], [], x_BSD
    for layer in model.model.layers:
        x, balance = step(layer, x, turn, bias_BSS, at_once=fused)
        outs.append(x)
        balances.append(balance)
    return outs, torch.stack(balances).mean()


def forward(
    model: HunyuanImage3,
    token_ids_BL: Tensor,
    num_pads_B: Tensor,
    latent_BChw: Tensor,
    t_B: Tensor,
    *,
    probe_layer: int,
    fused: bool = False,
) -> Output:
    """Predict the velocity at t = 1000 sigma for every sample."""
    L = token_ids_BL.shape[1]
    height, width = (side // model.config.patch_size for side in latent_BChw.shape[2:])
    tokens = model.patch_embed(latent_BChw.to(model.dtype), model.time_embed(t_B))
    x = torch.cat([model.model.wte(token_ids_BL), model.timestep_emb(t_B)[:, None], tokens], dim=1)
    positions = torch.cat([text_positions(0, L + 1), image_positions(L + 1, height=height, width=width)])
    outs, balance = run_layers(model, x, positions, sequence_mask(L, height * width, num_pads_B), fused=fused)
    velocity = model.final_layer(outs[-1][:, L + 1 :], model.time_embed_2(t_B), height=height, width=width)
    logits = model.lm_head(model.model.ln_f(outs[-1][:, :L]))
    return Output(velocity.float(), logits.float(), balance, outs[probe_layer][:, L + 1 :])


def forward_text(model: HunyuanImage3, token_ids_BL: Tensor, *, fused: bool = False) -> tuple[Tensor, Tensor]:
    """Logits of the token after each, float32 [B, L, V], and the balance."""
    B, L = token_ids_BL.shape
    mask = torch.ones(L, L, dtype=torch.bool, device=token_ids_BL.device).tril().expand(B, L, L)
    outs, balance = run_layers(model, model.model.wte(token_ids_BL), text_positions(0, L), mask, fused=fused)
    return model.lm_head(model.model.ln_f(outs[-1])).float(), balance
