"""Routing and experts against a formula that visits one token at a time."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from danqing.hunyuan_image3.config import LayerConfig
from danqing.hunyuan_image3.moe import MixtureOfExperts, Mlp, feed_forward, route

HIDDEN, WIDTH = 24, 10


def layer_of(num_experts: int, top_k: int, *, num_shared: int = 1) -> MixtureOfExperts:
    torch.manual_seed(0)
    layer = feed_forward(
        HIDDEN,
        LayerConfig(num_experts=num_experts, num_experts_per_token=top_k, num_shared_experts=num_shared, width=WIDTH),
    )
    assert isinstance(layer, MixtureOfExperts)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer.requires_grad_(False)


def expert_output(x: Tensor, gate_and_up: Tensor, down: Tensor) -> Tensor:
    a, b = (gate_and_up @ x).tensor_split(2)
    return down @ (a * b * torch.sigmoid(b))


def one_token(layer: MixtureOfExperts, x: Tensor) -> Tensor:
    """The published formula for a single token, in double precision."""
    weights = {name: value.double() for name, value in layer.state_dict().items()}
    x = x.double()
    probabilities = (weights["gate.wg.weight"] @ x).softmax(0)
    chosen = sorted(range(len(probabilities)), key=lambda e: -probabilities[e].item())[: layer.num_experts_per_token]
    total = sum(probabilities[e] for e in chosen)
    out = expert_output(x, weights["shared_mlp.gate_and_up_proj.weight"], weights["shared_mlp.down_proj.weight"])
    for e in chosen:
        routed = expert_output(x, weights["experts.gate_and_up_proj"][e], weights["experts.down_proj"][e])
        out = out + probabilities[e] / total * routed
    return out.float()


@pytest.mark.parametrize(("num_experts", "top_k", "num_shared"), [(1, 1, 1), (4, 2, 1), (8, 8, 2), (16, 3, 1)])
@pytest.mark.parametrize("num_tokens", [1, 33])
def test_a_mixture_is_the_sum_over_each_tokens_experts(
    num_experts: int, top_k: int, num_shared: int, num_tokens: int
) -> None:
    layer = layer_of(num_experts, top_k, num_shared=num_shared)
    x = torch.randn(num_tokens, HIDDEN)
    torch.testing.assert_close(layer(x), torch.stack([one_token(layer, row) for row in x]), atol=1e-5, rtol=1e-5)


def test_the_kernel_of_inference_gives_the_same_sum() -> None:
    layer, x = layer_of(4, 2), torch.randn(33, HIDDEN)
    with torch.inference_mode():
        out = layer(x)
    torch.testing.assert_close(out.clone(), torch.stack([one_token(layer, row) for row in x]), atol=1e-5, rtol=1e-5)


def test_an_expert_without_tokens_does_no_harm() -> None:
    layer = layer_of(4, 2)
    x = torch.randn(9, HIDDEN).abs()
    layer.gate.wg.weight[2] = -50.0
    _, expert_TK = route(layer.gate(x), num_experts_per_token=2)
    assert 2 not in expert_TK
    layer.experts.down_proj[2] = float("nan")
    torch.testing.assert_close(layer(x), torch.stack([one_token(layer, row) for row in x]), atol=1e-5, rtol=1e-5)


def test_all_tokens_may_choose_the_same_expert() -> None:
    layer = layer_of(4, 1)
    x = torch.randn(9, HIDDEN).abs()
    layer.gate.wg.weight.zero_()[3] = 1.0
    torch.testing.assert_close(layer(x), torch.stack([one_token(layer, row) for row in x]), atol=1e-5, rtol=1e-5)


def test_equal_logits_choose_different_experts_with_equal_weights() -> None:
    weight_TK, expert_TK = route(torch.zeros(5, 8), num_experts_per_token=3)
    assert all(len(set(row)) == 3 for row in expert_TK.tolist())
    torch.testing.assert_close(weight_TK, torch.full((5, 3), 1 / 3))


def test_weights_of_the_chosen_experts_sum_to_one_and_follow_the_logits() -> None:
    torch.manual_seed(1)
    logits = torch.randn(20, 8)
    weight_TK, expert_TK = route(logits, num_experts_per_token=3)
    torch.testing.assert_close(weight_TK.sum(-1), torch.ones(20))
    assert torch.equal(expert_TK, logits.topk(3).indices)
    assert (weight_TK[:, :-1] >= weight_TK[:, 1:]).all()


def test_routing_is_float32_even_for_bfloat16_tokens() -> None:
    layer = layer_of(4, 2).bfloat16()
    layer.gate.wg.weight.data = layer.gate.wg.weight.float()
    logits = layer.gate(torch.randn(3, HIDDEN, dtype=torch.bfloat16))
    assert logits.dtype == torch.float32
    # The two differ by less than bfloat16 can tell apart.
    _, expert_TK = route(torch.tensor([[1.0, 1.0001]]), num_experts_per_token=1)
    assert expert_TK.item() == 1


def test_a_layer_without_experts_is_a_dense_mlp() -> None:
    layer = feed_forward(HIDDEN, LayerConfig(num_experts=0, num_experts_per_token=0, num_shared_experts=0, width=WIDTH))
    assert isinstance(layer, Mlp)
    x = torch.randn(3, HIDDEN)
    a, b = F.linear(x, layer.gate_and_up_proj.weight).split(WIDTH, dim=-1)
    torch.testing.assert_close(layer(x), F.linear(a * F.silu(b), layer.down_proj.weight))


class LargestResult(TorchDispatchMode):
    """Remembers the largest tensor that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.num_elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, Tensor):
                self.num_elements = max(self.num_elements, tensor.numel())
        return out


def test_no_intermediate_grows_with_tokens_times_experts_times_capacity() -> None:
    num_tokens, num_experts, top_k = 256, 64, 2
    layer = layer_of(num_experts, top_k)
    with LargestResult() as largest:
        layer(torch.randn(num_tokens, HIDDEN))
    # A dispatch mask would have tokens x experts x (tokens x top_k / experts) = 131,072 places.
    stacked_weights = num_experts * 2 * WIDTH * HIDDEN
    assert largest.num_elements <= max(num_tokens * num_experts, num_tokens * top_k * HIDDEN, stacked_weights)
