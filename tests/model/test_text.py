"""Text mode: greedy, sampled, seeded, stopped, penalised."""

from collections.abc import Sequence

import pytest
import torch

from danqing.hunyuan_image3.generation_config import GREEDY, TextSampling
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.text import TextWriter, penalise, pick_token

QUESTION = [3, 141, 59, 26]


def pick(logits: list[float], *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0) -> int:
    sampling = TextSampling(temperature=temperature, top_k=top_k, top_p=top_p)
    return pick_token(torch.tensor(logits), sampling=sampling, generator=torch.Generator().manual_seed(seed))


def written(
    model: HunyuanImage3,
    *,
    stop_ids: Sequence[int] = (),
    num_tokens: int,
    sampling: TextSampling = GREEDY,
    seed: int = 1,
) -> list[int]:
    writer = TextWriter(model, QUESTION, capacity=len(QUESTION) + num_tokens, sampling=sampling, seed=seed)
    with torch.inference_mode():
        return list(writer.write(stop_ids=stop_ids, max_new_tokens=num_tokens))


def sampled(model: HunyuanImage3, *, seed: int) -> list[int]:
    return written(model, num_tokens=12, sampling=TextSampling(temperature=1.0, top_k=0, top_p=0.9), seed=seed)


def greedy(model: HunyuanImage3, *, stop_ids: Sequence[int], num_tokens: int) -> list[int]:
    return written(model, stop_ids=stop_ids, num_tokens=num_tokens)


def test_greedy_text_is_the_likeliest_token_again_and_again(tiny_model: HunyuanImage3) -> None:
    ids = list(QUESTION)
    with torch.inference_mode():
        for _ in range(6):
            hidden = tiny_model.read(ids, tiny_model.new_cache(len(ids)))
            ids.append(int(tiny_model.next_token_logits(hidden).argmax()))
    assert greedy(tiny_model, stop_ids=[], num_tokens=6) == ids[len(QUESTION) :]


def test_logits_come_from_the_final_norm_and_the_head(tiny_model: HunyuanImage3) -> None:
    hidden = torch.randn(1, 3, 64)
    last = hidden[0, -1].double()
    normed = last / (last.square().mean() + 1e-5).sqrt() * tiny_model.model.ln_f.weight.double()
    expected = (tiny_model.lm_head.weight.double() @ normed).float()
    torch.testing.assert_close(tiny_model.next_token_logits(hidden), expected, atol=1e-4, rtol=1e-4)


def test_the_same_seed_writes_the_same_text(tiny_model: HunyuanImage3) -> None:
    first = sampled(tiny_model, seed=5)
    torch.manual_seed(99)
    assert sampled(tiny_model, seed=5) == first
    assert sampled(tiny_model, seed=6) != first


def test_text_ends_with_its_stop_token(tiny_model: HunyuanImage3) -> None:
    free = greedy(tiny_model, stop_ids=[], num_tokens=8)
    stop = next(i for i, token in enumerate(free) if i > 0 and token not in free[:i])
    assert greedy(tiny_model, stop_ids=[free[stop]], num_tokens=8) == free[: stop + 1]
    assert greedy(tiny_model, stop_ids=[free[0]], num_tokens=8) == free[:1]


@pytest.mark.parametrize("num_tokens", [1, 5])
def test_text_never_grows_beyond_its_limit(tiny_model: HunyuanImage3, num_tokens: int) -> None:
    assert len(greedy(tiny_model, stop_ids=[], num_tokens=num_tokens)) == num_tokens


@pytest.mark.parametrize("top_p", [0.0, 1e-9, 0.3])
def test_a_small_top_p_keeps_the_likeliest_token(top_p: float) -> None:
    assert {pick([0.0, 3.0, 1.0], top_p=top_p, seed=seed) for seed in range(20)} == {1}


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert {pick(logits, top_p=0.75, seed=seed) for seed in range(60)} == {0, 1}
    assert {pick(logits, top_p=0.85, seed=seed) for seed in range(60)} == {0, 1, 2}


def test_top_k_keeps_so_many_of_the_likeliest_and_top_p_is_measured_among_them() -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().tolist()
    assert {pick(logits, top_k=3, seed=seed) for seed in range(60)} == {0, 1, 2}
    # Of all, the first two hold 0.7; of the first three, 0.78.
    assert {pick(logits, top_p=0.75, seed=seed) for seed in range(60)} == {0, 1, 2}
    assert {pick(logits, top_k=3, top_p=0.75, seed=seed) for seed in range(60)} == {0, 1}
    assert {pick(logits, top_k=1, seed=seed) for seed in range(20)} == {0}
    assert {pick(logits, top_k=9, seed=seed) for seed in range(60)} == {0, 1, 2, 3}


def test_a_full_top_p_samples_every_token_about_as_often_as_it_is_likely() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().tolist()
    picked = [pick(logits, seed=seed) for seed in range(600)]
    for token, share in enumerate((0.5, 0.3, 0.2)):
        assert picked.count(token) / 600 == pytest.approx(share, abs=0.07)


def test_a_low_temperature_sharpens() -> None:
    logits = [0.0, 1.0, 0.5]
    assert {pick(logits, temperature=0.01, seed=seed) for seed in range(20)} == {1}
    assert {pick(logits, temperature=0.0, seed=seed) for seed in range(5)} == {1}
    assert {pick(logits, temperature=50.0, seed=seed) for seed in range(60)} == {0, 1, 2}


def test_given_tokens_are_read_as_if_they_had_been_written(tiny_model: HunyuanImage3) -> None:
    writer = TextWriter(tiny_model, QUESTION, capacity=12, sampling=GREEDY, seed=1)
    with torch.inference_mode():
        first = list(writer.write(stop_ids=(), max_new_tokens=2))
        writer.append([7, 8])
        second = list(writer.write(stop_ids=(), max_new_tokens=2))
        whole = TextWriter(tiny_model, [*QUESTION, *first, 7, 8], capacity=12, sampling=GREEDY, seed=1)
        assert second == list(whole.write(stop_ids=(), max_new_tokens=2))
        torch.testing.assert_close(writer.logits(), whole.logits(), atol=1e-4, rtol=1e-4)


def test_a_penalty_makes_seen_tokens_less_likely_on_either_side_of_zero() -> None:
    logits = torch.tensor([2.0, -2.0, 2.0, -2.0])
    assert penalise(logits, {0, 1}, penalty=2.0).tolist() == [1.0, -4.0, 2.0, -2.0]
    assert penalise(logits, {0, 1}, penalty=1.0) is logits
    assert penalise(logits, set(), penalty=2.0) is logits
    assert logits.tolist() == [2.0, -2.0, 2.0, -2.0]


def test_a_large_penalty_writes_no_token_twice_nor_any_of_the_question(tiny_model: HunyuanImage3) -> None:
    sampling = TextSampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1e6)
    ids = written(tiny_model, num_tokens=20, sampling=sampling)
    assert len({*ids, *QUESTION}) == 20 + len(QUESTION)
