"""A run ends with its samples or with its time, whichever it was given."""

import pytest

from danqing.training.budget import Budget


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
