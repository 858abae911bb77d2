"""int8 and int4: what rounding loses, and what widening gives back."""

import pytest
import torch

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.integers import (
    INT4_LEVELS,
    group_size,
    round_int4,
    round_int8,
    widen_int4,
    widen_int8,
)


def test_a_row_in_int8_is_within_half_a_step() -> None:
    torch.manual_seed(0)
    weight = torch.randn(7, 50) * torch.tensor([1e-4, 1, 3, 1e3, 1, 1, 1])[:, None]
    numbers, scale = round_int8(weight)
    assert torch.equal(scale, weight.abs().amax(-1) / 127)
    assert ((widen_int8(numbers, scale, torch.float32) - weight).abs() <= 0.501 * scale[:, None]).all()


@pytest.mark.parametrize("num_inputs", [128, 240])
def test_normal_weights_lose_a_twelfth_in_int4(num_inputs: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(200, num_inputs)
    back = widen_int4(*round_int4(weight), torch.float32)
    # Measured: 0.080 and 0.079. The least error of any sixteen levels without groups is 0.0975.
    assert (back - weight).norm() / weight.norm() < 0.082


def test_pairs_are_two_numbers_a_byte_the_first_in_the_low_half() -> None:
    low, high = 3, 12
    pairs = torch.tensor([[low | high << 4]], dtype=torch.uint8)
    scale, offset = torch.tensor([[2.0]]), torch.tensor([[0.5]])
    expected = torch.tensor([[2 * INT4_LEVELS[low] + 0.5, 2 * INT4_LEVELS[high] + 0.5]])
    torch.testing.assert_close(widen_int4(pairs, scale, offset, torch.float32), expected)
    torch.testing.assert_close(widen_int4(pairs, scale, offset, torch.bfloat16), expected.bfloat16())


@pytest.mark.parametrize("value", [0.0, 0.3, -5.0])
def test_equal_weights_come_back_as_their_own(value: float) -> None:
    weight = torch.full((2, 64), value)
    torch.testing.assert_close(widen_int4(*round_int4(weight), torch.float32), weight, rtol=2**-8, atol=1e-29)
    torch.testing.assert_close(widen_int8(*round_int8(weight), torch.float32), weight)


def test_rows_round_alike_alone_and_among_others() -> None:
    torch.manual_seed(0)
    weight = torch.randn(300, 1024)
    together, alone = round_int4(weight), round_int4(weight[123:124])
    for all_rows, row in zip(together, alone, strict=True):
        assert torch.equal(all_rows[123:124], row)


@pytest.mark.parametrize(("num_inputs", "size"), [(4096, 64), (3072, 64), (240, 60), (96, 48), (32, 32), (62, 62)])
def test_groups_divide_the_inputs(num_inputs: int, size: int) -> None:
    assert group_size(num_inputs) == size


def test_an_odd_number_of_inputs_is_refused() -> None:
    with pytest.raises(CheckpointError, match="33 inputs"):
        group_size(33)
