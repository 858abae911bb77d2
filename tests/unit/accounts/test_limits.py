"""Rate and concurrency limits per key."""

import pytest

from danqing.accounts import limits
from danqing.accounts.limits import KeyLimits, RateState
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
def key_limits(seconds):
    return KeyLimits(requests_per_minute=6, max_concurrent_requests=2, monotonic=seconds)


def test_a_fresh_key_has_its_whole_limit(key_limits):
    assert key_limits.peek("a") == RateState(name="requests", limit=6, remaining=6, window_seconds=60, reset_seconds=0)


def test_each_request_takes_one_and_the_reset_moves_away(key_limits):
    assert key_limits.take("a") == RateState(name="requests", limit=6, remaining=5, window_seconds=60, reset_seconds=10)
    assert key_limits.take("a").remaining == 4


def test_above_the_limit_the_caller_learns_how_long_to_wait(key_limits, seconds):
    for _ in range(6):
        key_limits.take("a")
    seconds.now = 3.0
    with pytest.raises(RateLimitExceeded) as refusal:
        key_limits.take("a")
    assert refusal.value.retry_after_seconds == 7
    seconds.now = 10.0
    assert key_limits.take("a").remaining == 0


def test_keys_do_not_share_a_limit(key_limits):
    for _ in range(6):
        key_limits.take("a")
    assert key_limits.take("b").remaining == 5


def test_an_idle_key_never_gains_more_than_its_limit(key_limits, seconds):
    key_limits.take("a")
    seconds.now = 1e6
    assert key_limits.peek("a").remaining == 6


def test_only_so_many_requests_of_a_key_run_at_once(key_limits):
    with key_limits.running("a"), key_limits.running("a"):
        with pytest.raises(RateLimitExceeded, match="2 requests at once"), key_limits.running("a"):
            pass
        with key_limits.running("b"):
            pass
    with key_limits.running("a"):
        pass


def test_a_request_that_fails_is_not_running_any_more(key_limits):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), key_limits.running("a"):
            raise ZeroDivisionError


def test_memory_stays_bounded_and_nobody_gains_by_being_forgotten(key_limits, seconds, monkeypatch):
    monkeypatch.setattr(limits, "MAX_IDLE_KEYS", 3)
    for _ in range(6):
        key_limits.take("busy")
    for index in range(50):
        key_limits.peek(f"idle{index}")
    assert len(key_limits._uses) <= 4
    assert key_limits.peek("busy").remaining == 0
