"""Rounding to fp8: close to the numbers it stands for, row by row."""

import pytest
import torch

from danqing.hunyuan_image3.fp8 import FP8, quantise


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_row_is_within_half_a_step_of_fp8(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    # Rows of very different sizes: each has a scale of its own.
    x = (torch.randn(9, 64) * torch.logspace(-12, 12, 9)[:, None]).to(dtype)
    values, scale = quantise(x)
    assert (values.dtype, scale.dtype, scale.shape) == (FP8, torch.float32, (9,))
    for row, back in zip(x.float(), values.float() * scale[:, None], strict=True):
        # Three bits after the point: half a step is a sixteenth. Near zero steps no longer shrink.
        smallest_step = row.abs().max() / 448 * 2**-9
        assert ((back - row).abs() <= row.abs() / 16 * 1.01 + smallest_step).all()


def test_rows_of_zeros_stay_zeros() -> None:
    values, scale = quantise(torch.zeros(2, 16))
    assert scale.isfinite().all()
    assert torch.equal(values.float() * scale[:, None], torch.zeros(2, 16))
