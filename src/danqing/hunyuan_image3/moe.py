"""The feed-forward half of a layer: a dense MLP, or a router and the experts it chooses for each token.

Letters: T tokens, E experts, K experts per token, D hidden size.
"""

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.config import LayerConfig
from danqing.hunyuan_image3.experts import Experts, gated
from danqing.hunyuan_image3.linear import Linear


def route(logits_TE: Tensor, *, num_experts_per_token: int) -> tuple[Tensor, Tensor]:
    """Return weight_TK, summing to 1 per token, and expert_TK."""
    # float32: bfloat16 rounds near-equal experts into ties.
    probs_TE = logits_TE.float().softmax(dim=-1)
    weight_TK, expert_TK = probs_TE.topk(num_experts_per_token, dim=-1)
    return weight_TK / weight_TK.sum(dim=-1, keepdim=True), expert_TK


class Mlp(nn.Module):
    """A dense gated MLP."""

    def __init__(self, hidden_size: int, width: int) -> None:
        super().__init__()
        self.gate_and_up_proj = Linear(hidden_size, 2 * width)
        self.down_proj = Linear(width, hidden_size)

    def forward(self, x_TD: Tensor) -> Tensor:
        return self.down_proj(gated(self.gate_and_up_proj(x_TD)))


class Router(nn.Module):
    """The router's weight stays float32 in every checkpoint."""

    def __init__(self, hidden_size: int, num_experts: int) -> None:
        super().__init__()
        self.wg = nn.Linear(hidden_size, num_experts, bias=False, dtype=torch.float32)

    def forward(self, x_TD: Tensor) -> Tensor:
        return self.wg(x_TD.float())


class MixtureOfExperts(nn.Module):
    """A shared expert for every token plus the routed ones."""

    def __init__(self, hidden_size: int, config: LayerConfig) -> None:
        super().__init__()
        self.num_experts_per_token = config.num_experts_per_token
        self.gate = Router(hidden_size, config.num_experts)
        self.experts = Experts(config.num_experts, hidden_size, config.width)
        self.shared_mlp = Mlp(hidden_size, config.width * config.num_shared_experts)

    def forward(self, x_TD: Tensor) -> Tensor:
        weight_TK, expert_TK = route(self.gate(x_TD), num_experts_per_token=self.num_experts_per_token)
        return self.shared_mlp(x_TD) + self.experts(x_TD, weight_TK, expert_TK)


def feed_forward(hidden_size: int, config: LayerConfig) -> nn.Module:
    """The feed-forward part a layer's config asks for: [T, D] -> [T, D]."""
    return MixtureOfExperts(hidden_size, config) if config.num_experts else Mlp(hidden_size, config.width)
