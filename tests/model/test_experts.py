"""Routed experts: the contract of every form, and where rows go."""

import pytest
import torch

from danqing.hunyuan_image3 import experts as experts_module
from danqing.hunyuan_image3.experts import GROUP_ROWS, Experts, RoutedExperts, gated, group, stored_name
from danqing.hunyuan_image3.fp8_experts import Fp8Experts
from danqing.hunyuan_image3.integer_experts import Int4Experts, Int8Experts

FORMS = [Experts, Fp8Experts, Int8Experts, Int4Experts]
E, D, W = 5, 64, 32


def filled(form: type[RoutedExperts], *, seed: int = 0) -> RoutedExperts:
    torch.manual_seed(seed)
    experts = form(E, D, W)  # type: ignore[call-arg]
    for matrix, shape in (("gate_and_up_proj", (E, 2 * W, D)), ("down_proj", (E, D, W))):
        for e, weight in enumerate(torch.randn(shape) * shape[-1] ** -0.5):
            for suffix, value in experts.rounded(weight).items():
                getattr(experts, matrix + suffix).data[e] = value
    return experts.requires_grad_(False)


def activations(form: type[RoutedExperts], num_tokens: int) -> torch.Tensor:
    x_TD = torch.randn(num_tokens, D)
    return x_TD.bfloat16() if form is Fp8Experts else x_TD


def shapes_of_widened(form: type[RoutedExperts], monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of all that is widened from now on."""
    seen: list[tuple[int, ...]] = []
    widened = form.widened

    def recorded(
        self: RoutedExperts, matrix: str, experts: int | slice, outputs: slice, dtype: torch.dtype
    ) -> torch.Tensor:
        wide = widened(self, matrix, experts, outputs, dtype)
        seen.append(tuple(wide.shape))
        return wide

    monkeypatch.setattr(form, "widened", recorded)
    return seen


@pytest.mark.parametrize("form", FORMS)
def test_every_number_belongs_to_one_expert_and_has_a_name_in_files(form: type[RoutedExperts]) -> None:
    names = set()
    for part, tensor in filled(form).parts():
        assert len(tensor) == E
        assert tensor.is_contiguous()
        name, suffix = stored_name(part, 3)
        assert suffix in ("", "_scale", "_offset")
        names.add(name)
    assert names == {"3.gate_and_up_proj.weight", "3.down_proj.weight"}


@pytest.mark.parametrize("form", FORMS)
def test_each_token_gets_the_weighted_sum_of_its_experts(form: type[RoutedExperts]) -> None:
    experts = filled(form)
    x_TD = activations(form, 9)
    expert_TK = torch.stack([torch.randperm(E)[:2] for _ in range(9)])
    weight_TK = torch.rand(9, 2).to(x_TD.dtype).float()
    gate_and_up = experts.widened("gate_and_up_proj", slice(None), slice(None), torch.float32)
    down = experts.widened("down_proj", slice(None), slice(None), torch.float32)
    expected = torch.stack(
        [
            sum(w * (down[e] @ gated(gate_and_up[e] @ x)) for w, e in zip(weights, chosen, strict=True))
            for x, weights, chosen in zip(x_TD.float(), weight_TK, expert_TK.tolist(), strict=True)
        ]
    )
    error = (experts(x_TD, weight_TK, expert_TK).float() - expected).norm() / expected.norm()
    # fp8 rounds tokens too: measured 0.038.
    assert error < (0.06 if form is Fp8Experts else 1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_numbers_may_be_replaced_between_calls(form: type[RoutedExperts]) -> None:
    first, second = filled(form, seed=1), filled(form, seed=2)
    x_TD, weight_TK = activations(form, 7), torch.rand(7, 2)
    expert_TK = torch.stack([torch.randperm(E)[:2] for _ in range(7)])
    expected = second(x_TD, weight_TK, expert_TK)
    assert not torch.equal(first(x_TD, weight_TK, expert_TK), expected)
    for (_, ours), (_, theirs) in zip(first.parts(), second.parts(), strict=True):
        ours.data = theirs.data.clone()
    assert torch.equal(first(x_TD, weight_TK, expert_TK), expected)


@pytest.mark.parametrize("form", [Experts, Int8Experts, Int4Experts])
def test_one_grouped_product_computes_what_the_loop_computes(form: type[RoutedExperts]) -> None:
    experts, x_TD = filled(form), torch.randn(9, D).bfloat16()
    # Expert 2 gets nothing.
    expert_TK = torch.tensor([[0, 1], [3, 4], [0, 3]] * 3)
    products = []
    for multiple, product in ((1, experts._looped_product), (GROUP_ROWS, experts._grouped_product)):
        row_TK, ends_E, token_R = group(expert_TK, num_experts=E, multiple=multiple)
        products.append(product("gate_and_up_proj", x_TD.index_select(0, token_R), ends_E)[row_TK])
    torch.testing.assert_close(*products)


@pytest.mark.parametrize("form", [Int8Experts, Int4Experts])
def test_a_grouped_product_widens_few_outputs_at_a_time(
    form: type[RoutedExperts], monkeypatch: pytest.MonkeyPatch
) -> None:
    experts, x_TD = filled(form), torch.randn(48, D).bfloat16()
    ends_E = torch.tensor([16, 16, 32, 48, 48], dtype=torch.int32)
    whole = experts._grouped_product("gate_and_up_proj", x_TD, ends_E)
    # Room for 48 of 64 outputs: the last piece is a smaller one.
    monkeypatch.setattr(experts_module, "WIDENED_BYTES", 48 * E * D * 2)
    seen = shapes_of_widened(form, monkeypatch)
    torch.testing.assert_close(experts._grouped_product("gate_and_up_proj", x_TD, ends_E), whole)
    assert seen == [(E, 48, D), (E, 16, D)]


@pytest.mark.parametrize("form", [Int8Experts, Int4Experts])
def test_a_cpu_widens_as_many_outputs_as_its_caches_hold(
    form: type[RoutedExperts], monkeypatch: pytest.MonkeyPatch
) -> None:
    experts, x_TD = filled(form), torch.randn(9, D)
    ends_E = torch.tensor([4, 4, 6, 9, 9], dtype=torch.int32)
    whole = experts._looped_product("gate_and_up_proj", x_TD, ends_E)
    # Room for 48 of 64 outputs: the last piece is a smaller one.
    monkeypatch.setattr(experts_module, "CACHED_BYTES", 48 * D * 4)
    seen = shapes_of_widened(form, monkeypatch)
    torch.testing.assert_close(experts._looped_product("gate_and_up_proj", x_TD, ends_E), whole)
    assert seen == [(48, D), (16, D)] * 3


@pytest.mark.parametrize("form", [Experts, Int8Experts, Int4Experts])
def test_with_a_grouped_product_experts_compute_the_same_and_wait_for_no_number(
    form: type[RoutedExperts], monkeypatch: pytest.MonkeyPatch
) -> None:
    experts = filled(form)
    if form is Experts:
        experts.bfloat16()
    x_TD, weight_TK = torch.randn(9, D).bfloat16(), torch.rand(9, 2)
    expert_TK = torch.tensor([[0, 1], [3, 4], [0, 3]] * 3)
    looped = experts(x_TD, weight_TK, expert_TK)
    # As on a GPU.
    monkeypatch.setattr(experts_module, "has_grouped_product", lambda _: True)
    torch.testing.assert_close(experts(x_TD, weight_TK, expert_TK), looped)
    # Tensors without numbers: to read one of them is an error.
    shapes = experts.to("meta")(x_TD.to("meta"), weight_TK.to("meta"), expert_TK.to("meta"))
    assert shapes.shape == looped.shape


def test_experts_begin_where_kernels_want_and_every_row_is_its_tokens() -> None:
    torch.manual_seed(0)
    # The last expert and one in the middle get nothing.
    expert_TK = torch.stack([torch.randperm(5)[:2] for _ in range(40)])
    expert_TK[expert_TK >= 2] += 1
    row_TK, ends_E, token_R = group(expert_TK, num_experts=7, multiple=GROUP_ROWS)
    assert ends_E.dtype == torch.int32
    assert (ends_E % GROUP_ROWS == 0).all()
    assert ends_E[-1] <= len(token_R)
    starts_E = torch.cat([ends_E.new_zeros(1), ends_E[:-1]])
    assert starts_E[2] == ends_E[2]
    assert torch.equal(token_R[row_TK], torch.arange(40)[:, None].expand(-1, 2))
    assert ((starts_E[expert_TK] <= row_TK) & (row_TK < ends_E[expert_TK])).all()
    assert len(row_TK.unique()) == 80
