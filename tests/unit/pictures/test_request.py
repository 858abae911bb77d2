"""The request for images: its seeds and its defaults."""

from dataclasses import replace

import pytest

from danqing.pictures.request import MAX_SAMPLED_SEED, MAX_SEED, ImageRequest, fold_seed, sample_seed

REQUEST = ImageRequest(prompt="a red fox", seed=7, width_px=64, height_px=64, num_images=4)


def test_image_two_of_a_seed_is_image_one_of_the_next():
    for image_index in range(3):
        assert REQUEST.image_seed(image_index + 1) == replace(REQUEST, seed=8).image_seed(image_index)
    assert REQUEST.image_seed(0) == 7


def test_the_first_seed_follows_the_last():
    last = replace(REQUEST, seed=MAX_SEED)
    assert [last.image_seed(index) for index in range(3)] == [MAX_SEED, 1, 2]


@pytest.mark.parametrize("seed", [1, 2, MAX_SEED - 1, MAX_SEED])
def test_a_seed_in_the_range_stays_as_it_is(seed):
    assert fold_seed(seed) == seed


def test_a_larger_seed_is_folded_into_the_range_so_that_the_next_one_follows_it():
    for seed in (MAX_SEED + 1, 2 * MAX_SEED, 10**400):
        assert 1 <= fold_seed(seed) <= MAX_SEED
        assert replace(REQUEST, seed=fold_seed(seed)).image_seed(1) == fold_seed(seed + 1)
    assert fold_seed(MAX_SEED + 1) == 1


def test_sampled_seeds_differ_and_fit_into_32_bits():
    seeds = {sample_seed() for _ in range(100)}
    assert len(seeds) > 90
    assert all(1 <= seed <= MAX_SAMPLED_SEED < 2**32 for seed in seeds)


def test_the_defaults_are_the_documented_ones():
    assert (REQUEST.num_inference_steps, REQUEST.guidance_scale, REQUEST.output_format) == (28, 7.5, "png")
    assert ImageRequest(prompt="x", seed=1, width_px=None, height_px=None).num_images == 1
