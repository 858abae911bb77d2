"""The training pass over whole, padded sequences equals the runtime's pass over each sequence alone."""

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.moe import MixtureOfExperts
from danqing.hunyuan_image3.sampler import Conditions
from mini.train.forward import forward, forward_text, mixture, sequence_mask
from mini.train.recipe import Recipe
from mini.train.transformer import new_network

HEIGHT, WIDTH = 3, 4
PREFIXES = [[5, 17, 300, 42, 9, 8, 111], [5, 9], [5, 17, 42, 9]]
LONGEST = max(map(len, PREFIXES))


@pytest.fixture(scope="module")
def model(recipe: Recipe) -> HunyuanImage3:
    """Zeros replaced: a new network predicts nothing."""
    model = new_network(recipe, dtype=torch.float32, device=torch.device("cpu"))
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model


@pytest.fixture(scope="module")
def latent() -> Tensor:
    return torch.randn(len(PREFIXES), 16, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


T_B = torch.tensor([900.0, 500.0, 20.0])


@torch.no_grad()
def velocity_of_batch(model: HunyuanImage3, latent: Tensor, *, pad_id: int) -> Tensor:
    num_pads = [LONGEST - len(ids) for ids in PREFIXES]
    padded = torch.tensor([[pad_id] * pads + ids for pads, ids in zip(num_pads, PREFIXES, strict=True)])
    return forward(model, padded, torch.tensor(num_pads), latent, T_B, probe_layer=0).velocity


@pytest.mark.parametrize("pad_id", [0, 77])
def test_left_padding_does_not_change_the_velocity(model: HunyuanImage3, latent: Tensor, pad_id: int) -> None:
    together = velocity_of_batch(model, latent, pad_id=pad_id)
    for b, ids in enumerate(PREFIXES):
        with torch.no_grad():
            alone = forward(
                model, torch.tensor([ids]), torch.tensor([0]), latent[b : b + 1], T_B[b : b + 1], probe_layer=0
            ).velocity
        torch.testing.assert_close(together[b : b + 1], alone, atol=1e-4, rtol=1e-4)
    assert together.std() > 0.01


def test_a_padded_batch_equals_the_runtime_one_by_one(model: HunyuanImage3, latent: Tensor) -> None:
    together = velocity_of_batch(model, latent, pad_id=0)
    for b, ids in enumerate(PREFIXES):
        with torch.inference_mode():
            branch = model.branch(ids, height=HEIGHT, width=WIDTH)
            served = model.velocity(latent[b : b + 1], Conditions(T_B[b], T_B[b], 1.0), [branch])
        torch.testing.assert_close(together[b : b + 1], served.clone(), atol=1e-4, rtol=1e-4)


def test_the_text_pass_equals_the_runtime_word_by_word(model: HunyuanImage3) -> None:
    padded = torch.tensor([ids + [0] * (LONGEST - len(ids)) for ids in PREFIXES])
    with torch.no_grad():
        logits, balance = forward_text(model, padded)
    for b, ids in enumerate(PREFIXES):
        for length in (1, len(ids)):
            with torch.inference_mode():
                served = model.next_token_logits(model.read(ids[:length], model.new_cache(length)))
            torch.testing.assert_close(logits[b, length - 1], served.clone(), atol=1e-4, rtol=1e-4)
    assert 0.9 < balance.item() < 3


def test_the_probe_reads_the_image_tokens_of_its_layer(model: HunyuanImage3, latent: Tensor) -> None:
    ids = torch.tensor([PREFIXES[0]])
    with torch.no_grad():
        first, last = (
            forward(model, ids, torch.tensor([0]), latent[:1], T_B[:1], probe_layer=layer).probed for layer in (0, 1)
        )
    assert first.shape == last.shape == (1, HEIGHT * WIDTH, 128)
    assert not torch.allclose(first, last, atol=1e-3)


def test_the_mask_is_causal_except_among_image_tokens_and_hides_padding() -> None:
    masks = sequence_mask(2, 2, torch.tensor([0, 1]))
    assert masks.int().tolist() == [
        [
            [1, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [1, 1, 1, 0, 0],  # the <timestep> token
            [1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1],
        ],
        [
            [1, 0, 0, 0, 0],  # padding sees itself
            [0, 1, 0, 0, 0],
            [0, 1, 1, 0, 0],
            [0, 1, 1, 1, 1],
            [0, 1, 1, 1, 1],
        ],
    ]


def test_all_experts_at_once_give_what_each_gives_to_its_own_tokens(model: HunyuanImage3) -> None:
    layer = model.model.layers[0].mlp
    assert isinstance(layer, MixtureOfExperts)
    x = torch.randn(50, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (one_by_one, balance), (at_once, same) = (mixture(layer, x, at_once=at_once) for at_once in (False, True))
    torch.testing.assert_close(at_once, one_by_one, atol=1e-5, rtol=1e-4)
    assert balance == same
