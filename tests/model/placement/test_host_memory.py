"""Host memory that a GPU copies from, as far as a CPU can tell."""

import pytest
import torch

from danqing.hunyuan_image3.placement import host_memory


def test_memory_that_no_gpu_copies_from_is_ordinary() -> None:
    empty = host_memory.empty([2, 3], torch.bfloat16, pinned=False)
    assert (empty.shape, empty.dtype, empty.is_pinned()) == ((2, 3), torch.bfloat16, False)


def test_pytorch_knows_the_setting_that_limits_its_rounding() -> None:
    # It reads no number for a name that it does not know.
    with pytest.raises(ValueError, match="stoull"):
        torch._C._accelerator_setAllocatorSettings(f"{host_memory.ROUNDING_SETTING}:many")
    host_memory._limit_rounding()
    assert torch._C._accelerator_getAllocatorSettings() == f"{host_memory.ROUNDING_SETTING}:{host_memory.ROUNDED_MB}"
