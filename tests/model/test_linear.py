"""The products of a CPU: pointwise convolutions are convolutions, and no number of threads changes a bit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import danqing
from danqing.hunyuan_image3.linear import PointwiseConv2d, PointwiseConv3d, linear
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.precision import Precision

NUMBERS_OF_THREADS = (1, 2, 3)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.mark.parametrize(
    ("layer", "grid"), [(PointwiseConv2d(96, 64), (5, 7)), (PointwiseConv3d(96, 64), (3, 5, 7))], ids=["2d", "3d"]
)
@torch.inference_mode()
def test_a_pointwise_convolution_is_a_convolution(layer: nn.Conv2d | nn.Conv3d, grid: tuple[int, ...]) -> None:
    x = torch.randn(2, 96, *grid)
    expected = layer._conv_forward(x, layer.weight, layer.bias)  # type: ignore[arg-type]
    assert layer(x).is_contiguous()
    torch.testing.assert_close(layer(x), expected)


# Sizes at which oneDNN's own pointwise kernel sums in another order when a second thread joins.
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_pointwise_convolution_is_the_same_on_any_number_of_threads(dtype: torch.dtype) -> None:
    layer, x = PointwiseConv2d(256, 320).to(dtype), torch.randn(2, 256, 12, 20).to(dtype)
    assert _number_of_results(lambda: layer(x)) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_rows", [1, 77, 480])
@torch.inference_mode()
def test_a_product_is_the_same_on_any_number_of_threads(dtype: torch.dtype, num_rows: int) -> None:
    x, weight = torch.randn(num_rows, 512).to(dtype), torch.randn(1024, 512).to(dtype)
    assert _number_of_results(lambda: linear(x, weight)) == 1


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16])
def test_a_picture_is_the_same_on_any_number_of_threads(precision: Precision) -> None:
    pipeline = Pipeline.load(Path(danqing.__path__[0]) / "checkpoints" / "mini", precision=precision)
    request = TextToImage(
        prompt="a red fox in the snow", num_inference_steps=1, guidance_scale=7.5, width_px=768, height_px=768
    )

    def draw() -> Tensor:
        prefix = pipeline.prefill(request)
        (step,) = pipeline.denoise(prefix, seed=1)
        return torch.cat([step.latent.flatten(), torch.tensor(pipeline.decode(step.latent, prefix)).flatten()])

    assert _number_of_results(draw) == 1


def _number_of_results(compute: Callable[[], Tensor]) -> int:
    results = set()
    for num_threads in NUMBERS_OF_THREADS:
        torch.set_num_threads(num_threads)
        results.add(compute().float().numpy().tobytes())
    return len(results)
