"""Attention: which tokens see which, how heads are grouped, and how the norm rounds."""

import pytest
import torch
from tiny_checkpoints import config_values, random_model
from torch import Tensor

from danqing.hunyuan_image3.attention import RmsNorm, attend
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.rope import rotation, text_positions

HEIGHT, WIDTH = 4, 6
PREFIX = [5, 17, 300, 42, 9]


class ImageStep:
    """One layer's attention in an image step, to be perturbed token by token."""

    def __init__(self, model: HunyuanImage3) -> None:
        self.layer = model.model.layers[0].self_attn
        self.branch = model.branch(PREFIX, height=HEIGHT, width=WIDTH)
        torch.manual_seed(0)
        self.x = torch.randn(1, model.config.num_condition_tokens + HEIGHT * WIDTH, model.config.hidden_size)

    def out(self, changed: int | None = None) -> Tensor:
        x = self.x.clone()
        if changed is not None:
            x[:, changed] += 1
        return self.layer.image(x, self.branch.rotation, [self.branch.cache], 0)[0].clone()


def test_the_timestep_token_sees_no_image_token(tiny_model: HunyuanImage3) -> None:
    with torch.inference_mode():
        step = ImageStep(tiny_model)
        before = step.out()
        for changed in (1, HEIGHT * WIDTH):
            assert torch.equal(step.out(changed)[0], before[0])


def test_condition_tokens_are_causal_among_themselves_and_see_no_image_token() -> None:
    with torch.inference_mode():
        step = ImageStep(random_model(config_values(cfg_distilled=True, use_meanflow=True)))
        before = step.out()
        for changed in range(3 + HEIGHT * WIDTH):
            moved = (step.out(changed) - before).abs().amax(-1) > 1e-6
            # Image tokens see everything; the three before them what stands before them, and themselves.
            expected = [changed <= i or i >= 3 for i in range(len(moved))]
            assert moved.tolist() == expected, changed


def test_condition_tokens_see_the_whole_prefix() -> None:
    model = random_model(config_values(cfg_distilled=True, use_meanflow=True))
    with torch.inference_mode():
        step = ImageStep(model)
        before = step.out()
        for position in range(len(PREFIX)):
            _keys, values = step.branch.cache._stores[0]
            kept = values[:, position].clone()
            values[:, position] += 1
            assert ((step.out() - before)[:3].abs().amax(-1) > 1e-6).all()
            values[:, position] = kept


def test_every_image_token_sees_every_other_and_the_timestep(tiny_model: HunyuanImage3) -> None:
    with torch.inference_mode():
        step = ImageStep(tiny_model)
        before = step.out()
        for changed in (0, 1, HEIGHT * WIDTH):
            moved = (step.out(changed) - before)[1:].abs().amax(-1)
            assert (moved > 1e-6).all()


def test_query_heads_of_a_group_share_their_key_value_head() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 3, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 8)
    out = attend(query, key, value, causal=True)
    for h in range(2):
        for g in range(3):
            for i in range(5):
                seen = 7 - 5 + i + 1
                score = key[h, :seen] @ query[h, g, i] / 8**0.5
                torch.testing.assert_close(out[h, g, i], score.softmax(0) @ value[h, :seen], atol=1e-6, rtol=1e-5)


def test_scores_computed_in_blocks_give_the_same_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 3, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 8)
    for causal in (True, False):
        monkeypatch.setattr("danqing.hunyuan_image3.attention.MAX_SCORES", 3 * 5 * 7)
        whole = attend(query, key, value, causal=causal)
        for max_scores in (1, 4 * 7, 14 * 7):
            monkeypatch.setattr("danqing.hunyuan_image3.attention.MAX_SCORES", max_scores)
            torch.testing.assert_close(attend(query, key, value, causal=causal), whole, atol=1e-6, rtol=1e-5)


def test_rows_of_qkv_are_grouped_by_key_value_head(tiny_model: HunyuanImage3) -> None:
    layer = tiny_model.model.layers[0].self_attn
    x = torch.randn(1, 1, 64)
    query, key, value = layer.project(x, rotation(text_positions(0, 1), head_size=16, base=10000.0))
    rows = layer.qkv_proj.weight.view(2, 4, 16, 64)  # key-value head; two queries, key, value; d; D
    # At position 0 nothing is turned.
    torch.testing.assert_close(value[0, 1, 0], rows[1, 3] @ x[0, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(key[0, 1, 0], layer.key_layernorm(rows[1, 2] @ x[0, 0]), atol=1e-5, rtol=1e-5)
    for g in range(2):
        expected = layer.query_layernorm(rows[1, g] @ x[0, 0])
        torch.testing.assert_close(query[0, 1, g, 0], expected, atol=1e-5, rtol=1e-5)


def test_the_norm_rounds_to_the_inputs_type_before_the_weight() -> None:
    norm = RmsNorm(4, eps=1e-5).bfloat16()
    norm.weight.data = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.bfloat16)
    x = torch.tensor([1.0, -2.0, 3.0, 0.7], dtype=torch.bfloat16)
    wide = x.double() / (x.double().square().mean() + 1e-5).sqrt()
    assert torch.equal(norm(x), wide.bfloat16() * norm.weight)
