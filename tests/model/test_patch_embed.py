"""The image ends at every patch size, against the published block written out with plain functions."""

import math

import pytest
import torch
from tiny_checkpoints import config_values, random_model
from torch import Tensor
from torch.nn import functional as F

from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.patch_embed import sinusoid

PATCH_SIZES = [1, 2, 4]


@pytest.fixture(scope="module", params=PATCH_SIZES)
def model(request: pytest.FixtureRequest) -> HunyuanImage3:
    return random_model(config_values(patch_size=request.param, num_hidden_layers=1))


def block(weights: dict[str, Tensor], name: str, x: Tensor, time: Tensor, *, resample: str) -> Tensor:
    """The residual block of the published description."""
    w = {key.removeprefix(name + "."): value for key, value in weights.items() if key.startswith(name + ".")}

    def resampled(grid: Tensor) -> Tensor:
        if resample == "halve":
            return grid.unflatten(3, (-1, 2)).mean(-1).unflatten(2, (-1, 2)).mean(3)
        if resample == "double":
            return grid.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return grid

    h = resampled(F.silu(F.group_norm(x, 32, w["in_layers.0.weight"], w["in_layers.0.bias"])))
    h = F.conv2d(h, w["in_layers.2.weight"], w["in_layers.2.bias"], padding=1)
    scale, shift = F.linear(F.silu(time), w["emb_layers.1.weight"], w["emb_layers.1.bias"]).chunk(2, dim=1)
    h = F.group_norm(h, 32, w["out_layers.0.weight"], w["out_layers.0.bias"])
    h = F.silu(h * (1 + scale[..., None, None]) + shift[..., None, None])
    h = F.conv2d(h, w["out_layers.3.weight"], w["out_layers.3.bias"], padding=1)
    skip = resampled(x)
    if "skip_connection.weight" in w:
        skip = F.conv2d(skip, w["skip_connection.weight"], w["skip_connection.bias"])
    return skip + h


def num_blocks(patch_size: int) -> int:
    return {1: 1, 2: 1, 4: 2}[patch_size]


def test_blocks_are_named_and_counted_as_published(model: HunyuanImage3) -> None:
    count = num_blocks(model.config.patch_size)
    names = set(model.state_dict())
    assert {name.split(".")[2] for name in names if name.startswith("patch_embed.")} == set(map(str, range(count + 1)))
    assert {name.split(".")[2] for name in names if name.startswith("final_layer.")} == set(map(str, range(count + 1)))
    for i in range(count):
        for part in ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3"):
            assert f"patch_embed.model.{i + 1}.{part}.weight" in names
            assert f"final_layer.model.{i}.{part}.weight" in names
    assert {"patch_embed.model.0.weight", f"final_layer.model.{count}.0.weight"} <= names
    assert f"final_layer.model.{count}.2.bias" in names
    # Only the block between the two widths needs a 1x1 convolution on its skip.
    skips = {name for name in names if name.endswith("skip_connection.weight")}
    assert skips == {f"patch_embed.model.{count}.skip_connection.weight", "final_layer.model.0.skip_connection.weight"}


def test_a_latent_becomes_tokens_row_by_row_and_a_latent_again(model: HunyuanImage3) -> None:
    p = model.config.patch_size
    tokens = model.patch_embed(torch.randn(1, 16, 2 * p, 3 * p), torch.randn(1, 64))
    assert tokens.shape == (1, 6, 64)
    assert model.final_layer(tokens, torch.randn(1, 64), height=2, width=3).shape == (1, 16, 2 * p, 3 * p)


def test_the_embedder_equals_the_published_blocks(model: HunyuanImage3) -> None:
    p, weights = model.config.patch_size, model.state_dict()
    latent, time = torch.randn(1, 16, 2 * p, 3 * p), torch.randn(1, 64)
    x = F.conv2d(latent, weights["patch_embed.model.0.weight"], weights["patch_embed.model.0.bias"], padding=1)
    for i in range(num_blocks(p)):
        x = block(weights, f"patch_embed.model.{i + 1}", x, time, resample="halve" if p > 1 else "none")
    expected = torch.stack([x[0, :, r, c] for r in range(2) for c in range(3)])
    torch.testing.assert_close(model.patch_embed(latent, time)[0], expected, atol=1e-4, rtol=1e-4)


def test_the_final_layer_equals_the_published_blocks(model: HunyuanImage3) -> None:
    p, weights = model.config.patch_size, model.state_dict()
    tokens, time = torch.randn(1, 6, 64), torch.randn(1, 64)
    x = tokens[0].T.reshape(1, 64, 2, 3)
    for i in range(num_blocks(p)):
        x = block(weights, f"final_layer.model.{i}", x, time, resample="double" if p > 1 else "none")
    head = f"final_layer.model.{num_blocks(p)}"
    x = F.silu(F.group_norm(x, 32, weights[f"{head}.0.weight"], weights[f"{head}.0.bias"]))
    x = F.conv2d(x, weights[f"{head}.2.weight"], weights[f"{head}.2.bias"], padding=1)
    torch.testing.assert_close(model.final_layer(tokens, time, height=2, width=3), x, atol=1e-4, rtol=1e-4)


def test_tokens_of_pixels_follow_the_patch_size() -> None:
    for p in PATCH_SIZES:
        assert parse_model_config(config_values(patch_size=p)).pixels_per_token == 16 * p


def test_a_sinusoid_has_its_cosines_first() -> None:
    row = sinusoid(torch.tensor([750.0]))[0]
    for k in (0, 1, 64, 127):
        angle = 750.0 * 10000 ** (-k / 128)
        assert row[k].item() == pytest.approx(math.cos(angle), abs=1e-4)
        assert row[128 + k].item() == pytest.approx(math.sin(angle), abs=1e-4)


def test_time_passes_an_exact_gelu(model: HunyuanImage3) -> None:
    w = {key.removeprefix("time_embed.mlp."): v for key, v in model.state_dict().items() if "time_embed.mlp." in key}
    h = F.linear(sinusoid(torch.tensor([30.0])), w["0.weight"], w["0.bias"])
    h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
    expected = F.linear(h, w["2.weight"], w["2.bias"])
    torch.testing.assert_close(model.time_embed(torch.tensor([30.0])), expected, atol=1e-5, rtol=1e-5)
