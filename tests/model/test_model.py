"""The network over a cached prefix equals the network over the whole sequence; text is read in any pieces."""

import pytest
import torch
from tiny_checkpoints import PARITY, config_values, random_model
from torch import Tensor

from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.model import PREFILL_TOKENS, HunyuanImage3, told_guidance
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.rope import rotation, text_positions
from danqing.hunyuan_image3.sampler import Conditions, start_noise
from mini.train.forward import forward

HEIGHT, WIDTH = 4, 6
PREFIX = [5, 17, 300, 42, 9]


def latent_of(seed: int) -> Tensor:
    return start_noise(seed, channels=16, height=HEIGHT, width=WIDTH)


def at(t: float, *, next_t: float = 0.0, guidance_scale: float = 1.0) -> Conditions:
    return Conditions(torch.tensor(t), torch.tensor(next_t), guidance_scale)


@torch.no_grad()
def velocity_of_training(model: HunyuanImage3, latent: Tensor, t: float) -> Tensor:
    """The whole sequence at once, as training runs it."""
    ids, no_pads = torch.tensor([PREFIX]), torch.tensor([0])
    return forward(model, ids, no_pads, latent, torch.tensor([t]), probe_layer=0).velocity


@torch.inference_mode()
def velocity(model: HunyuanImage3, ids: list[int], latent: Tensor, t: float) -> Tensor:
    branch = model.branch(ids, height=HEIGHT, width=WIDTH)
    return model.velocity(latent, at(t), [branch])


@pytest.mark.parametrize("t", [1000.0, 250.0])
def test_a_step_over_a_cached_prefix_equals_the_whole_sequence_at_once(tiny_model: HunyuanImage3, t: float) -> None:
    latent = latent_of(1)
    whole = velocity_of_training(tiny_model, latent, t)
    torch.testing.assert_close(velocity(tiny_model, PREFIX, latent, t), whole, atol=1e-5, rtol=1e-4)


def test_a_recorded_network_agrees_with_the_whole_sequence_too() -> None:
    model = Pipeline.load(PARITY / "instruct", precision=Precision.FLOAT32).model
    latent = start_noise(3, channels=16, height=2 * HEIGHT, width=2 * WIDTH)
    whole = velocity_of_training(model, latent, 700.0)
    torch.testing.assert_close(velocity(model, PREFIX, latent, 700.0), whole, atol=1e-5, rtol=1e-4)


def test_two_branches_of_different_length_equal_each_alone(tiny_model: HunyuanImage3) -> None:
    latent = latent_of(1)
    with torch.inference_mode():
        branches = [tiny_model.branch(ids, height=HEIGHT, width=WIDTH) for ids in (PREFIX, PREFIX[:2])]
        both = tiny_model.velocity(latent, at(500.0), branches).clone()
    alone = torch.cat([velocity(tiny_model, ids, latent, 500.0) for ids in (PREFIX, PREFIX[:2])])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_the_prefix_reaches_the_image(tiny_model: HunyuanImage3) -> None:
    latent = latent_of(1)
    other = [*PREFIX[:1], 18, *PREFIX[2:]]
    moved = velocity(tiny_model, PREFIX, latent, 500.0) - velocity(tiny_model, other, latent, 500.0)
    assert moved.abs().max() > 1e-4


def test_text_does_not_see_what_follows_it(tiny_model: HunyuanImage3) -> None:
    with torch.inference_mode():
        a = tiny_model.read(PREFIX, tiny_model.new_cache(5)).clone()
        b = tiny_model.read([*PREFIX[:4], 77], tiny_model.new_cache(5))
        torch.testing.assert_close(a[:, :4], b[:, :4].clone(), atol=1e-5, rtol=1e-4)
        assert (a[:, 4] - b[:, 4]).abs().max() > 0.1


def test_text_appended_to_a_prefix_equals_reading_both_at_once(tiny_model: HunyuanImage3) -> None:
    with torch.inference_mode():
        whole = tiny_model.read(PREFIX, tiny_model.new_cache(5)).clone()
        cache = tiny_model.new_cache(5)
        tiny_model.read(PREFIX[:3], cache)
        rest = tiny_model.read(PREFIX[3:], cache)
        assert cache.length == 5
        torch.testing.assert_close(rest.clone(), whole[:, 3:], atol=1e-5, rtol=1e-4)


def test_image_steps_leave_the_cache_as_it_was(tiny_model: HunyuanImage3) -> None:
    with torch.inference_mode():
        branch = tiny_model.branch(PREFIX, height=HEIGHT, width=WIDTH)
        first = tiny_model.velocity(latent_of(1), at(500.0), [branch]).clone()
        tiny_model.velocity(latent_of(2), at(10.0), [branch])
        assert branch.cache.length == len(PREFIX)
        assert torch.equal(tiny_model.velocity(latent_of(1), at(500.0), [branch]), first)


def test_a_long_text_read_in_pieces_equals_one_piece(tiny_model: HunyuanImage3) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 432, (PREFILL_TOKENS + 40,), generator=generator)
    turn = rotation(text_positions(0, len(ids)), head_size=16, base=10000.0)
    with torch.inference_mode():
        cache = tiny_model.new_cache(len(ids))
        pieces = tiny_model.read(ids.tolist(), cache)
        whole = tiny_model.model.text(ids, turn, tiny_model.new_cache(len(ids)))
        assert cache.length == len(ids)
        assert pieces.shape[1] == 40
        torch.testing.assert_close(pieces.clone(), whole[:, PREFILL_TOKENS:].clone(), atol=1e-5, rtol=1e-4)


def test_dense_first_layers_run_like_any_other() -> None:
    model = random_model(config_values(moe_layer_num_skipped=1))
    assert parse_model_config(config_values(moe_layer_num_skipped=1)).layers[0].num_experts == 0
    out = velocity(model, PREFIX, latent_of(1), 500.0)
    assert out.shape == (1, 16, HEIGHT, WIDTH)
    assert out.isfinite().all()


def test_bfloat16_stays_near_float32(tiny_model: HunyuanImage3) -> None:
    half = random_model(config_values())
    for name, parameter in half.named_parameters():
        if ".gate." not in name:
            parameter.data = parameter.data.bfloat16()
    exact, rounded = (velocity(model, PREFIX, latent_of(1), 500.0) for model in (tiny_model, half))
    assert rounded.dtype == torch.float32
    assert ((rounded - exact).norm() / exact.norm()).item() < 0.1


@pytest.fixture(scope="module")
def distilled() -> HunyuanImage3:
    return random_model(config_values(cfg_distilled=True, use_meanflow=True))


@pytest.mark.parametrize(
    ("guidance_scale", "told"), [(2.5, 2496.0), (3.9, 3904.0), (5.0, 4992.0), (1.0, 1000.0), (0.0, 0.0), (7.5, 7488.0)]
)
def test_guidance_is_told_as_a_thousandfold_in_bfloat16(guidance_scale: float, told: float) -> None:
    assert told_guidance(guidance_scale).tolist() == [told]
    assert told_guidance(guidance_scale).dtype == torch.float32


def test_condition_tokens_stand_in_the_published_order(distilled: HunyuanImage3) -> None:
    tokens = distilled.condition_tokens(at(900.0, next_t=750.0, guidance_scale=2.5))
    expected = [
        distilled.timestep_emb(torch.tensor([900.0])),
        distilled.guidance_emb(torch.tensor([2496.0])),
        distilled.timestep_r_emb(torch.tensor([750.0])),
    ]
    assert torch.equal(tokens, torch.stack(expected, dim=1))


def test_guidance_distilled_alone_has_no_token_for_the_next_time() -> None:
    model = random_model(config_values(cfg_distilled=True))
    assert model.condition_tokens(at(900.0, guidance_scale=2.5)).shape == (1, 2, 64)
    out = velocity(model, PREFIX, latent_of(1), 500.0)
    assert out.shape == (1, 16, HEIGHT, WIDTH)


def test_a_distilled_step_depends_on_guidance_and_the_next_time(distilled: HunyuanImage3) -> None:
    with torch.inference_mode():
        branch = distilled.branch(PREFIX, height=HEIGHT, width=WIDTH)
        steps = [at(900.0, next_t=r, guidance_scale=g) for r, g in ((750.0, 2.5), (750.0, 7.5), (500.0, 2.5))]
        first, *others = (distilled.velocity(latent_of(1), step, [branch]).clone() for step in steps)
    assert all((other - first).abs().max() > 1e-4 for other in others)


def test_other_networks_read_neither_guidance_nor_the_next_time(tiny_model: HunyuanImage3) -> None:
    with torch.inference_mode():
        branch = tiny_model.branch(PREFIX, height=HEIGHT, width=WIDTH)
        a = tiny_model.velocity(latent_of(1), at(900.0), [branch]).clone()
        b = tiny_model.velocity(latent_of(1), at(900.0, next_t=3.0, guidance_scale=9.0), [branch])
    assert torch.equal(a, b)
    assert not hasattr(tiny_model, "guidance_emb")
    assert not hasattr(tiny_model, "timestep_r_emb")
