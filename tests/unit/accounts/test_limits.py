"""Rate and concurrency limits of this process."""

import pytest

from danqing.accounts import limits
from danqing.accounts.limits import KeyRates, RateState, RunningRequests
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
def rates(seconds):
    return KeyRates(requests_per_minute=6, monotonic=seconds)


def test_each_request_takes_one_and_the_reset_moves_away(rates):
    assert rates.take("a") == RateState(name="requests", limit=6, remaining=5, window_seconds=60, reset_seconds=10)
    assert rates.take("a").remaining == 4


def test_above_the_limit_the_caller_learns_how_long_to_wait(rates, seconds):
    for _ in range(6):
        rates.take("a").require_admitted()
    seconds.now = 3.0
    with pytest.raises(RateLimitExceeded) as refusal:
        rates.take("a").require_admitted()
    assert refusal.value.retry_after_seconds == 7
    seconds.now = 10.0
    rates.take("a").require_admitted()


def test_keys_do_not_share_a_limit(rates):
    for _ in range(6):
        rates.take("a")
    assert rates.take("b").remaining == 5


def test_an_idle_key_never_gains_more_than_its_limit(rates, seconds):
    rates.take("a")
    seconds.now = 1e6
    assert rates.take("a").remaining == 5


def test_memory_stays_bounded_and_nobody_gains_by_being_forgotten(rates, seconds, monkeypatch):
    monkeypatch.setattr(limits, "MAX_IDLE_KEYS", 3)
    for index in range(50):
        for _ in range(6):
            rates.take("busy")
        seconds.now += 10
        rates.take(f"idle{index}")
    assert len(rates._buckets) <= 4
    rates.take("busy")
    assert rates.take("busy").wait_seconds == 10


def test_only_so_many_requests_of_a_key_run_at_once():
    requests = RunningRequests(max_per_key=2)
    with requests.running("a"), requests.running("a"):
        with pytest.raises(RateLimitExceeded, match="2 requests at once"), requests.running("a"):
            pass
        with requests.running("b"):
            pass
    with requests.running("a"):
        pass


def test_a_request_that_fails_is_not_running_any_more():
    requests = RunningRequests(max_per_key=2)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), requests.running("a"):
            raise ZeroDivisionError
