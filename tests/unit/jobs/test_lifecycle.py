"""How a job's status may change, and that credits move with it."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import IMAGE
from house import ALL, IMAGE_CREDITS

from danqing.accounts.api_keys import revoke_key
from danqing.accounts.pricing import Price
from danqing.errors import (
    GenerationTimeout,
    IdempotencyConflict,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidApiKey,
    NotFound,
    RateLimitExceeded,
    ServiceError,
)
from danqing.jobs import lifecycle
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.job import JobResult, JobStatus
from danqing.jobs.lifecycle import LostJob


class Desk:
    """Makes moves on one house's jobs, as owner "me" unless told otherwise."""

    def __init__(self, house):
        self.house = house

    def submit(self, submission=None, *, max_running=256, **changes):
        submission = submission or self.house.submission(**changes)
        with self.house.database.write() as conn:
            return lifecycle.submit(
                conn,
                submission,
                price=Price(),
                safety={"s": 1},
                lease=self.house.lease(),
                max_running=max_running,
                now=self.house.clock(),
            )

    def start(self, job, owner="me"):
        with self.house.database.write() as conn:
            return lifecycle.start(conn, job, lease=self.house.lease(owner), now=self.house.clock())

    def succeed(self, job, num_images=1, owner="me"):
        result = JobResult(
            images=tuple(replace(IMAGE, image_index=index) for index in range(num_images)),
            engine="fake",
            safety={"s": 2},
            warnings=("w",),
            expanded_prompt="more",
        )
        with self.house.database.write() as conn:
            return lifecycle.succeed(conn, job, result, lease_owner=owner, now=self.house.clock())

    def fail(self, job, owner="me"):
        with self.house.database.write() as conn:
            return lifecycle.fail(conn, job, GenerationTimeout(), lease_owner=owner, now=self.house.clock())

    def cancel(self, job):
        with self.house.database.write() as conn:
            return lifecycle.cancel(conn, job.id, now=self.house.clock())

    def hand_back(self, job, owner="me"):
        with self.house.database.write() as conn:
            return lifecycle.hand_back(conn, job, lease_owner=owner, now=self.house.clock())

    def recover(self, owner="other", *, at_work=(), limit=100):
        with self.house.database.write() as conn:
            return lifecycle.recover(
                conn, lease=self.house.lease(owner), at_work=at_work, now=self.house.clock(), limit=limit
            )


@pytest.fixture
def desk(house):
    return Desk(house)


def test_submitting_holds_the_price_of_every_image(desk, house):
    job = desk.submit(num_images=3, width_px=2048, height_px=2048)
    assert (job.status, job.price_credits) == (JobStatus.QUEUED, 3 * 4 * IMAGE_CREDITS)
    assert house.balance() == (ALL - job.price_credits, job.price_credits)


def test_a_job_reads_back_as_it_was_written(desk, house):
    submission = house.submission(
        seed=2**63 - 1, warnings=("w",), client_request_id="c", webhook_url="https://w", respond_async=True
    )
    job = desk.submit(submission)
    with house.database.read() as conn:
        assert lifecycle.get(conn, job.id) == job
    assert job.request.seed == 2**63 - 1


def test_without_credits_there_is_no_job(desk, house):
    with pytest.raises(InsufficientCredits):
        desk.submit(num_images=48)
    with house.database.read() as conn, pytest.raises(NotFound):
        lifecycle.get(conn, "x")
    assert house.balance() == (ALL, 0)


def test_success_charges_for_the_images_that_there_are(desk, house):
    job = desk.succeed(desk.start(desk.submit(num_images=4)), num_images=3)
    assert (job.status, job.charged_credits, len(job.images)) == (JobStatus.COMPLETED, 3 * IMAGE_CREDITS, 3)
    assert (job.engine, job.safety, job.warnings, job.expanded_prompt) == ("fake", {"s": 2}, ("w",), "more")
    assert house.balance() == (ALL - 3 * IMAGE_CREDITS, 0)


def test_failure_charges_nothing_and_says_why(desk, house):
    job = desk.fail(desk.start(desk.submit()))
    assert (job.status, job.error_code, job.charged_credits) == (JobStatus.ERROR, "generation_timeout", 0)
    assert "time limit" in job.error_message
    assert house.balance() == (ALL, 0)


@pytest.mark.parametrize("started", [False, True])
def test_cancelling_releases_the_hold(desk, house, started):
    job = desk.submit()
    if started:
        desk.start(job)
    assert desk.cancel(job).status is JobStatus.CANCELLED
    assert house.balance() == (ALL, 0)


def test_no_move_is_possible_that_the_table_does_not_allow(desk):
    moves = {
        JobStatus.QUEUED: desk.hand_back,
        JobStatus.GENERATING: desk.start,
        JobStatus.COMPLETED: desk.succeed,
        JobStatus.ERROR: desk.fail,
        JobStatus.CANCELLED: desk.cancel,
    }
    ways = {
        JobStatus.QUEUED: (),
        JobStatus.GENERATING: (desk.start,),
        JobStatus.COMPLETED: (desk.start, desk.succeed),
        JobStatus.ERROR: (desk.fail,),
        JobStatus.CANCELLED: (desk.cancel,),
    }
    for from_status, to_status in itertools.product(JobStatus, JobStatus):
        job = desk.submit()
        for way in ways[from_status]:
            job = way(job)
        assert job.status is from_status
        if to_status in lifecycle.ALLOWED_MOVES[from_status]:
            assert moves[to_status](job).status is to_status
        else:
            with pytest.raises(LostJob):
                moves[to_status](job)


def test_the_table_of_moves_covers_every_status_and_ends_where_jobs_finish():
    assert set(lifecycle.ALLOWED_MOVES) == set(JobStatus)
    assert {status for status, targets in lifecycle.ALLOWED_MOVES.items() if not targets} == {
        status for status in JobStatus if status.finished
    }


def test_only_the_owner_of_the_lease_may_start_or_finish(desk):
    job = desk.submit()
    with pytest.raises(LostJob):
        desk.start(job, owner="other")
    job = desk.start(job)
    with pytest.raises(LostJob):
        desk.succeed(job, owner="other")
    with pytest.raises(LostJob):
        desk.fail(job, owner="other")
    desk.succeed(job)


def test_the_same_idempotency_key_finds_the_finished_job(desk, house):
    first = desk.succeed(desk.start(desk.submit(idempotency_key="k")))
    second = desk.submit(idempotency_key="k")
    assert second == replace(first, replayed=True)
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


def test_a_key_in_flight_is_a_conflict(desk):
    job = desk.submit(idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        desk.submit(idempotency_key="k")
    desk.cancel(job)


def test_a_key_in_flight_is_found_by_a_caller_who_does_not_wait(desk):
    job = desk.submit(idempotency_key="k", respond_async=True)
    assert desk.submit(idempotency_key="k", respond_async=True).id == job.id
    desk.cancel(job)


def test_a_key_with_another_body_is_a_mismatch_in_flight_and_after(desk):
    job = desk.submit(idempotency_key="k")
    with pytest.raises(IdempotencyMismatch):
        desk.submit(idempotency_key="k", body_fingerprint=BodyFingerprint(in_effect="g", as_written="g"))
    desk.succeed(desk.start(job))
    with pytest.raises(IdempotencyMismatch):
        desk.submit(idempotency_key="k", body_fingerprint=BodyFingerprint(in_effect="g", as_written="g"))


def test_a_failed_job_frees_its_key(desk):
    failed = desk.fail(desk.submit(idempotency_key="k"))
    retried = desk.submit(idempotency_key="k", body_fingerprint=BodyFingerprint(in_effect="g", as_written="g"))
    assert retried.id != failed.id
    assert not retried.replayed
    desk.cancel(retried)


def test_a_key_counts_for_one_path_and_one_api_key(desk):
    jobs = [
        desk.submit(idempotency_key="k"),
        desk.submit(idempotency_key="k", path="/other"),
        desk.submit(account_id="umbrella", idempotency_key="k"),
    ]
    assert len({job.id for job in jobs}) == 3
    for job in jobs:
        desk.cancel(job)


def test_a_key_is_forgotten_after_a_day(desk, house):
    first = desk.succeed(desk.start(desk.submit(idempotency_key="k")))
    house.clock.advance(hours=23, minutes=59)
    assert desk.submit(idempotency_key="k").id == first.id
    house.clock.advance(minutes=2)
    second = desk.submit(idempotency_key="k")
    assert second.id != first.id
    desk.cancel(second)


def test_recovering_takes_over_a_job_that_can_be_collected(desk, house):
    job = desk.start(desk.submit(idempotency_key="k"))
    house.clock.advance(seconds=16)
    recovered = desk.recover()
    (requeued,) = recovered.requeued
    assert (requeued.id, requeued.status, requeued.started_at) == (job.id, JobStatus.QUEUED, None)
    with pytest.raises(LostJob):
        desk.succeed(job)
    desk.succeed(desk.start(requeued, owner="other"), owner="other")


def test_recovering_ends_a_job_that_nobody_could_collect(desk, house):
    desk.submit()
    house.clock.advance(seconds=16)
    recovered = desk.recover()
    (failed,) = recovered.failed
    assert (failed.status, failed.error_code) == (JobStatus.ERROR, "server_error")
    assert house.balance() == (ALL, 0)


def test_a_job_is_tried_twice_and_no_more(desk, house):
    desk.start(desk.submit(respond_async=True))
    house.clock.advance(seconds=16)
    (requeued,) = desk.recover().requeued
    desk.start(requeued, owner="other")
    house.clock.advance(seconds=16)
    recovered = desk.recover("third")
    assert recovered.requeued == ()
    assert [job.num_attempts for job in recovered.failed] == [2]
    assert house.balance() == (ALL, 0)


def test_recovering_leaves_alone_what_has_a_lease(desk, house):
    job = desk.submit(respond_async=True)
    house.clock.advance(seconds=15)
    assert desk.recover() == lifecycle.Recovered(requeued=(), failed=())
    desk.cancel(job)


def test_recovering_leaves_alone_what_is_at_work_though_its_lease_ran_out(desk, house):
    mine, lost = desk.submit(), desk.submit()
    house.clock.advance(seconds=16)
    assert [job.id for job in desk.recover("me", at_work=[mine.id]).failed] == [lost.id]
    desk.cancel(mine)


def test_recovering_is_bounded(desk, house):
    for _ in range(3):
        desk.submit()
    house.clock.advance(seconds=16)
    assert [len(desk.recover(limit=2).failed) for _ in range(3)] == [2, 1, 0]


def test_a_job_handed_back_can_be_taken_at_once_and_has_not_been_tried(desk):
    job = desk.hand_back(desk.start(desk.submit(respond_async=True)))
    assert (job.status, job.num_attempts) == (JobStatus.QUEUED, 0)
    (requeued,) = desk.recover().requeued
    assert requeued.id == job.id
    desk.cancel(requeued)


def test_a_service_error_has_its_code_and_message_kept(desk, house):
    with house.database.write() as conn:
        job = lifecycle.submit(
            conn, house.submission(), price=Price(), safety={}, max_running=256, lease=house.lease(), now=house.clock()
        )
        job = lifecycle.fail(conn, job, ServiceError("Why."), lease_owner="me", now=house.clock())
    assert (job.error_code, job.error_message) == ("server_error", "Why.")


def test_one_idempotency_key_makes_one_job_however_many_servers_get_it_at_once(house):
    """Each thread is a server: a transaction of its own, begun at the same moment as the others."""
    num_keys, num_servers = 12, 8
    begin = threading.Barrier(num_servers)

    def submit(key):
        submission = house.submission(idempotency_key=key, respond_async=True)
        begin.wait(60)
        with house.database.write() as conn:
            return lifecycle.submit(
                conn, submission, price=Price(), safety={}, max_running=256, lease=house.lease(), now=house.clock()
            )

    with ThreadPoolExecutor(num_servers) as servers:
        for index in range(num_keys):
            jobs = list(servers.map(submit, [f"k{index}"] * num_servers))
            assert len({job.id for job in jobs}) == 1
            assert [job.replayed for job in jobs].count(False) == 1
            house.cancel(jobs[0])


def test_a_key_that_was_revoked_or_disabled_meanwhile_submits_nothing(desk, house):
    with house.database.write() as conn:
        revoke_key(conn, house.keys["acme"], account_id="acme", now=house.clock())
    with pytest.raises(InvalidApiKey):
        desk.submit()
    assert house.balance() == (ALL, 0)


def test_a_key_runs_only_so_many_requests_in_all_processes_of_the_database(desk):
    first = desk.submit(max_running=1)
    with pytest.raises(RateLimitExceeded, match="1 requests at once"):
        desk.submit(max_running=1)
    desk.submit(max_running=1, respond_async=True)
    desk.start(first)
    desk.succeed(first)
    desk.submit(max_running=1)
