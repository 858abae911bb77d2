"""Exact limits per minute and key."""

import pytest

from danqing.accounts import minute_limits
from danqing.accounts.limits import RateState
from danqing.accounts.minute_limits import MinuteLimits
from danqing.errors import RateLimitExceeded


class Seconds:
    """A clock in seconds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def limits(seconds):
    return MinuteLimits(requests_per_minute=3, monotonic=seconds, name="reads")


def test_nothing_is_given_back_before_the_minute_is_over(limits, seconds):
    assert limits.take("a") == RateState(name="reads", limit=3, remaining=2, window_seconds=60, reset_seconds=60)
    seconds.now = 30
    limits.take("a")
    limits.take("a")
    seconds.now = 59.5
    with pytest.raises(RateLimitExceeded) as refusal:
        limits.take("a")
    assert refusal.value.retry_after_seconds == 1
    assert limits.peek("a").remaining == 0
    seconds.now = 60
    assert limits.take("a").remaining == 2


def test_keys_do_not_share(limits):
    for _ in range(3):
        limits.take("a")
    assert limits.take("b").remaining == 2


def test_minutes_that_are_over_are_forgotten(limits, seconds, monkeypatch):
    monkeypatch.setattr(minute_limits, "MAX_IDLE_KEYS", 2)
    limits.take("a")
    limits.take("b")
    seconds.now = 61
    limits.take("c")
    assert list(limits._minutes) == ["c"]
