"""Positions and turns against the published formulas, written out one number at a time."""

import math

import pytest
import torch

from danqing.hunyuan_image3.rope import Rotation, image_positions, rotate, rotation, text_positions


def test_text_walks_the_diagonal() -> None:
    assert text_positions(3, 6).tolist() == [[3, 3], [4, 4], [5, 5]]


@pytest.mark.parametrize(("start", "height", "width"), [(10, 2, 3), (7, 3, 3), (5, 1, 4), (12, 5, 2)])
def test_an_image_is_centred_on_its_stretch_of_the_diagonal(start: int, height: int, width: int) -> None:
    positions = image_positions(start, height=height, width=width).view(height, width, 2)
    for r in range(height):
        for c in range(width):
            y = math.floor(start + (width * height - height) / 2 + r)
            x = math.floor(start + (width * height - width) / 2 + c)
            assert positions[r, c].tolist() == [y, x]


def test_even_frequencies_turn_with_y_and_odd_ones_with_x() -> None:
    d, base, (y, x) = 8, 100.0, (3.0, 5.0)
    turn = rotation(torch.tensor([[y, x]]), head_size=d, base=base)
    angles = [base ** (-2 * k / d) * (y if k % 2 == 0 else x) for k in range(d // 2)] * 2
    torch.testing.assert_close(turn.cos_Td[0], torch.tensor([math.cos(a) for a in angles]))
    torch.testing.assert_close(turn.sin_Td[0], torch.tensor([math.sin(a) for a in angles]))


def test_turning_rotates_the_pairs_of_the_two_halves() -> None:
    torch.manual_seed(0)
    turn = rotation(torch.tensor([[3.0, 5.0], [1.0, 1.0]]), head_size=8, base=100.0)
    x = torch.randn(2, 3, 8)
    out = rotate(x, turn)
    for token in range(2):
        for k in range(4):
            c, s = turn.cos_Td[token, k], turn.sin_Td[token, k]
            low, high = x[token, :, k], x[token, :, k + 4]
            torch.testing.assert_close(out[token, :, k], low * c - high * s)
            torch.testing.assert_close(out[token, :, k + 4], high * c + low * s)


def test_turning_keeps_the_type_and_computes_in_float32() -> None:
    turn = rotation(torch.tensor([[1000.0, 1001.0]]), head_size=8, base=100.0)
    x = torch.randn(1, 2, 8)
    out = rotate(x.bfloat16(), turn)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, rotate(x.bfloat16().float(), turn).bfloat16())


def test_branches_may_stand_at_different_positions() -> None:
    turns = [rotation(text_positions(i, i + 2), head_size=8, base=100.0) for i in (0, 4)]
    x = torch.randn(2, 2, 3, 8)
    out = rotate(x, Rotation.stack(turns))
    for b, turn in enumerate(turns):
        torch.testing.assert_close(out[b], rotate(x[b], turn))
