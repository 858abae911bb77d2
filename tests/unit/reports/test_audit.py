"""The audit finds what does not fit together."""

from datetime import timedelta

import pytest
from fakes import IMAGE
from sqlalchemy import update

from danqing.accounts import credits
from danqing.accounts.pricing import Price
from danqing.errors import ServiceError
from danqing.jobs import lifecycle
from danqing.jobs.job import JobResult
from danqing.jobs.lifecycle import Lease
from danqing.jobs.tables import jobs
from danqing.reports import audit


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"status": "queued"}, "it is queued, but its hold is settled"),
        ({"status": "completed", "charged_credits": 5}, "it was charged 5 credits, but 0 were captured"),
        ({"charged_credits": 5}, "it is error, but was charged 5 credits"),
        ({"price_credits": 5}, "its price is 5 credits, but 210000 were held"),
    ],
)
def test_a_finished_job_that_its_hold_contradicts_is_named(database, house, damage, sentence):
    job = _job(house)
    with database.write() as conn:
        lifecycle.fail(conn, job, ServiceError(), lease_owner="me", now=house.clock())
        conn.execute(update(jobs).values(damage))
    assert any(f"job {job.id}: {sentence}" == line for line in _audit(database))
    _undo(house, job)


def test_a_finished_job_with_an_open_hold_is_named(database, house):
    job = _job(house)
    with database.write() as conn:
        conn.execute(update(jobs).values(status="cancelled"))
    assert _audit(database) == [f"job {job.id}: it is cancelled, but its hold is open"]
    with database.write() as conn:
        credits.settle(conn, hold_id=job.id, captured_credits=0, now=house.clock())


def test_an_unfinished_job_with_its_hold_open_is_in_order(database, house):
    _job(house)
    assert _audit(database) == []


def test_a_hold_without_a_job_is_named(database, house):
    with database.write() as conn:
        hold = {"account_id": "acme", "api_key_id": house.keys["acme"], "amount_credits": 5, "now": house.clock()}
        credits.hold(conn, hold_id="stray", **hold)
        assert audit.check(conn) == ["job stray: there is a hold but no job"]
        conn.rollback()


def test_two_charges_under_one_idempotency_key_within_a_day_are_named(database, house):
    first = _charged_job(house, idempotency_key="k")
    house.clock.advance(hours=23)
    second = _charged_job(house, idempotency_key="other")
    with database.write() as conn:
        conn.execute(update(jobs).values(idempotency_key="k"))
    assert _audit(database) == [f"job {second.id}: its idempotency key 'k' had made job {first.id} before"]
    with database.write() as conn:
        conn.execute(update(jobs).where(jobs.c.id == second.id).values(idempotency_key="other"))


def test_a_key_may_be_charged_again_after_a_day_and_after_a_failure(database, house):
    _charged_job(house, idempotency_key="k")
    house.clock.advance(hours=25)
    failed = house.write_job(idempotency_key="k")
    with database.write() as conn:
        lifecycle.fail(conn, failed, ServiceError(), lease_owner="me", now=house.clock())
    _charged_job(house, idempotency_key="k")
    assert _audit(database) == []


def _charged_job(house, **changes):
    job = house.write_job(started=True, **changes)
    result = JobResult(images=(IMAGE,), engine="fake", safety={}, warnings=(), expanded_prompt=None)
    with house.database.write() as conn:
        return lifecycle.succeed(conn, job, result, lease_owner="me", now=house.clock())


def _job(house):
    lease = Lease(owner="me", expires_at=house.clock() + timedelta(seconds=15))
    with house.database.write() as conn:
        return lifecycle.submit(
            conn, house.submission(), price=Price(), safety={}, max_running=256, lease=lease, now=house.clock()
        )


def _undo(house, job):
    with house.database.write() as conn:
        values = {"status": "error", "charged_credits": 0, "price_credits": job.price_credits}
        conn.execute(update(jobs).values(values))


def _audit(database):
    with database.read() as conn:
        return audit.check(conn)
