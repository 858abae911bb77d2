"""The recipe trains every grid that is served; a run ends with its samples or with its time."""

import pytest

from danqing.hunyuan_image3.resolution import all_buckets
from mini.train.recipe import (
    BASE_SIZE_PX,
    BUCKETS,
    GRID_SHARES,
    NUM_RATIOS,
    PIXELS_PER_TOKEN,
    PRESET_SHARES,
    Budget,
    Recipe,
)
from mini.world.scene import Grid


def test_every_grid_trained_on_is_one_that_is_served_and_none_is_left_out() -> None:
    served = {
        Grid(bucket.width_px // PIXELS_PER_TOKEN, bucket.height_px // PIXELS_PER_TOKEN) for bucket in BUCKETS.usable
    }
    assert set(GRID_SHARES) == served
    assert min(GRID_SHARES.values()) > 0
    assert sum(GRID_SHARES.values()) == pytest.approx(1.0)
    assert len(all_buckets(BASE_SIZE_PX)) == NUM_RATIOS


def test_every_preset_of_the_wire_has_a_grid_of_its_own_shape() -> None:
    for width, height in [(1024, 1024), (896, 1152), (768, 1280), (1152, 896), (1280, 768)]:
        assert Grid(width // PIXELS_PER_TOKEN, height // PIXELS_PER_TOKEN) in PRESET_SHARES


def test_the_probe_reads_a_layer_that_others_follow() -> None:
    assert 0 <= Recipe().probe_layer_index < Recipe().num_layers - 1


def test_samples_are_counted_against_samples() -> None:
    budget = Budget(num_samples=200)
    assert budget.share_done(num_seen=50, seconds=1e6) == 0.25


def test_seconds_are_counted_against_seconds() -> None:
    budget = Budget(seconds=60)
    assert budget.share_done(num_seen=10**9, seconds=15) == pytest.approx(0.25)


def test_of_two_limits_the_nearer_one_counts() -> None:
    budget = Budget(num_samples=100, seconds=10)
    assert budget.share_done(num_seen=50, seconds=1) == 0.5
    assert budget.share_done(num_seen=50, seconds=9) == 0.9
