"""The moves of a job from status to status, and of its credits with it.

Each function works inside the caller's transaction, at the moment that the caller's clock shows. An image that is
handed out before the job's end is charged however the job ends; a job that ends without one costs nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from danqing.accounts import credits
from danqing.accounts.api_keys import is_live, lock_live_key
from danqing.accounts.limits import too_many_at_once
from danqing.accounts.pricing import Price
from danqing.errors import Cancelled, IdempotencyConflict, IdempotencyMismatch, NotFound, ServiceError
from danqing.jobs import deliveries, queries
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.job import Job, JobImage, JobResult, JobStatus, Submission
from danqing.jobs.signals import send_ended
from danqing.pictures.request import ImageRequest

DEAD_KEY = "The API key of this job was revoked or disabled before it was drawn."
IDEMPOTENCY_LIFETIME = timedelta(hours=24)
# The first attempt and, after a crash of the process that worked on it, one more.
MAX_JOB_ATTEMPTS = 2

# Every move a job may make. A finished job makes none, which is why its hold settles once.
ALLOWED_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    # A job that was taken over may be completed while it waits: by the images that its first attempt handed out.
    JobStatus.QUEUED: frozenset(JobStatus),
    JobStatus.GENERATING: frozenset({JobStatus.QUEUED, JobStatus.COMPLETED, JobStatus.ERROR, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.ERROR: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


class LostJob(Exception):
    """The job cannot make this move: it is finished, or another process has it now."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The process that works on a job, and until when no other may take it over."""

    owner: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Jobs of processes that are gone: `requeued` are the caller's now, `failed` are over."""

    requeued: tuple[Job, ...]
    failed: tuple[Job, ...]


def find_replay(conn: Connection, submission: Submission, *, now: datetime) -> Job | None:
    """Find the job that the submission's idempotency key already stands for.

    A failed or cancelled job has freed its key for retries.
    Raises IdempotencyMismatch for another body, IdempotencyConflict while the first request is still running.
    """
    if submission.idempotency_key is None:
        return None
    row = queries.find_idempotency_key(
        conn,
        api_key_id=submission.api_key_id,
        path=submission.path,
        idempotency_key=submission.idempotency_key,
    )
    if row is None or row.created_at < now - IDEMPOTENCY_LIFETIME:
        return None
    job = get(conn, row.job_id)
    if job.status in (JobStatus.ERROR, JobStatus.CANCELLED):
        return None
    if not submission.body_fingerprint.matches(BodyFingerprint.from_stored(row.body_fingerprint)):
        raise IdempotencyMismatch
    if not job.status.finished and not submission.respond_async:
        raise IdempotencyConflict(retry_after_seconds=1)
    return replace(job, replayed=True)


def submit(
    conn: Connection,
    submission: Submission,
    *,
    price: Price,
    safety: Mapping[str, object],
    lease: Lease,
    max_running: int,
    now: datetime,
) -> Job:
    """Hold the credits and write the job, or find the one of the same idempotency key.

    Raises InvalidApiKey for a key that was revoked or disabled meanwhile, InsufficientCredits, SpendLimitReached,
    IdempotencyMismatch, IdempotencyConflict, RateLimitExceeded if the key has `max_running` requests already.
    """
    # Submissions with one API key come one after the other, so that each sees the idempotency keys of those before it.
    lock_live_key(conn, submission.api_key_id)
    replay = find_replay(conn, submission, now=now)
    if replay is not None:
        return replay
    if not submission.respond_async and queries.count_running(conn, submission.api_key_id) >= max_running:
        raise too_many_at_once(max_running, "requests")
    job = _new_job(submission, price=price, safety=safety, now=now)
    queries.insert_job(conn, job, lease_owner=lease.owner, lease_expires_at=lease.expires_at)
    if submission.idempotency_key is not None:
        _remember(conn, submission, idempotency_key=submission.idempotency_key, now=now)
    credits.hold(
        conn,
        hold_id=job.id,
        account_id=job.account_id,
        api_key_id=job.api_key_id,
        amount_credits=job.price_credits,
        now=now,
    )
    return job


def refuse(
    conn: Connection,
    submission: Submission,
    error: ServiceError,
    *,
    price: Price,
    safety: Mapping[str, object],
    now: datetime,
) -> Job:
    """Write a job that was over before it began, so that its owner finds the refusal in the logs.

    It holds nothing, costs nothing, and sends no webhook: its caller has the error already.
    """
    job = replace(
        _new_job(submission, price=price, safety=safety, now=now),
        status=JobStatus.ERROR,
        finished_at=now,
        price_credits=0,
        error_code=error.code,
        error_message=error.message,
        webhook_url=None,
    )
    queries.insert_job(conn, job, lease_owner=None, lease_expires_at=None)
    return job


def start(conn: Connection, job: Job, *, lease: Lease, now: datetime) -> Job:
    """Begin an attempt, or cancel a job whose API key was revoked or disabled meanwhile. Raises LostJob."""
    if not is_live(conn, job.api_key_id):
        return cancel(conn, job.id, now=now, reason=Cancelled(DEAD_KEY))
    values = {"started_at": now, "num_attempts": job.num_attempts + 1, "lease_expires_at": lease.expires_at}
    return _move(conn, job.id, JobStatus.GENERATING, owner=lease.owner, values=values)


def succeed(conn: Connection, job: Job, result: JobResult, *, lease_owner: str, now: datetime) -> Job:
    """Complete the job and charge for the images of its result. Raises LostJob."""
    return _finish(
        conn,
        job,
        JobStatus.COMPLETED,
        lease_owner=lease_owner,
        now=now,
        num_images=len(result.images),
        **_result_values(result),
    )


def hand_out(conn: Connection, job_id: str, image: JobImage, *, so_far: JobResult, lease_owner: str) -> None:
    """Note that an image is handed out before the job's end. Raises LostJob: then it must not be."""
    job = queries.lock_job(conn, job_id)
    if job is None:
        raise LostJob(job_id)
    if image in job.images:
        return
    values = _result_values(replace(so_far, images=(*job.images, image)))
    generating = [JobStatus.GENERATING]
    if queries.move_job(conn, job_id, from_statuses=generating, lease_owner=lease_owner, values=values) is None:
        raise LostJob(job_id)


def fail(conn: Connection, job: Job, error: ServiceError, *, lease_owner: str | None, now: datetime) -> Job:
    """End the job with an error and release its hold, or complete it by the images handed out. Raises LostJob."""
    return _end_early(conn, job.id, JobStatus.ERROR, error, lease_owner=lease_owner, now=now)


def cancel(conn: Connection, job_id: str, *, now: datetime, reason: Cancelled | None = None) -> Job:
    """End the job at its owner's request, whichever process works on it, as `fail` does. Raises LostJob."""
    return _end_early(conn, job_id, JobStatus.CANCELLED, reason or Cancelled(), lease_owner=None, now=now)


def cancel_dead_keys(conn: Connection, job_ids: Collection[str], *, now: datetime) -> list[Job]:
    """Cancel those of the jobs that wait in the queue and whose API key was revoked or disabled."""
    dead = queries.find_jobs_of_dead_keys(conn, job_ids)
    return [cancel(conn, job_id, now=now, reason=Cancelled(DEAD_KEY)) for job_id in dead]


def hand_back(conn: Connection, job: Job, *, lease_owner: str, now: datetime) -> Job:
    """Let any process take the job over at once, as if there had been no attempt here. Raises LostJob."""
    num_attempts = job.num_attempts - (job.status is JobStatus.GENERATING)
    values = {"started_at": None, "num_attempts": num_attempts, "lease_expires_at": now - timedelta(microseconds=1)}
    return _move(conn, job.id, JobStatus.QUEUED, owner=lease_owner, values=values)


def recover(conn: Connection, *, lease: Lease, at_work: Collection[str], now: datetime, limit: int) -> Recovered:
    """Take over, or end, at most `limit` jobs whose owner has not renewed its lease, but none that we are `at_work` on.

    A job gets one more attempt. A job whose result cannot be collected, because its connection died with its owner,
    ends instead: drawing it would charge for images that nobody gets. Forgets old idempotency keys as well.
    """
    queries.delete_idempotency_keys(conn, created_before=now - IDEMPOTENCY_LIFETIME)
    requeued, failed = [], []
    lost = queries.lock_lost_jobs(conn, now=now, without=at_work, limit=limit)
    # Every process settles in the order of accounts, so that two of them never wait for each other.
    for job in sorted(lost, key=lambda job: (job.account_id, job.created_at)):
        if job.collectable and job.num_attempts < MAX_JOB_ATTEMPTS:
            taken = {"lease_owner": lease.owner, "lease_expires_at": lease.expires_at, "started_at": None}
            requeued.append(_move(conn, job.id, JobStatus.QUEUED, owner=None, values=taken))
        else:
            stopped = ServiceError("The server stopped while it worked on this request.")
            failed.append(fail(conn, job, stopped, lease_owner=None, now=now))
    return Recovered(requeued=tuple(requeued), failed=tuple(failed))


def get(conn: Connection, job_id: str) -> Job:
    """Read a job. Raises NotFound."""
    job = queries.find_job(conn, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def price_credits(request: ImageRequest, price: Price) -> int:
    """Return what a request holds: the price of all its images."""
    return price.image_credits(width_px=request.width_px, height_px=request.height_px) * request.num_images


def _new_job(submission: Submission, *, price: Price, safety: Mapping[str, object], now: datetime) -> Job:
    request = submission.request
    return Job(
        id=submission.job_id,
        account_id=submission.account_id,
        api_key_id=submission.api_key_id,
        origin=submission.origin,
        request=request,
        status=JobStatus.QUEUED,
        created_at=now,
        price_credits=price_credits(request, price),
        warnings=submission.warnings,
        safety=safety,
        client_request_id=submission.client_request_id,
        idempotency_key=submission.idempotency_key,
        webhook_url=submission.webhook_url,
        inline_images=submission.inline_images,
        respond_async=submission.respond_async,
    )


def _remember(conn: Connection, submission: Submission, *, idempotency_key: str, now: datetime) -> None:
    key = {"api_key_id": submission.api_key_id, "path": submission.path, "idempotency_key": idempotency_key}
    # The job that it stood for is too old, or failed: `find_replay` has let it pass.
    queries.delete_idempotency_key(conn, **key)
    remembered = {
        **key,
        "job_id": submission.job_id,
        "body_fingerprint": submission.body_fingerprint.stored(),
        "created_at": now,
    }
    queries.insert_idempotency_key(conn, remembered)


def _move(conn: Connection, job_id: str, to_status: JobStatus, *, owner: str | None, values: Mapping[str, Any]) -> Job:
    from_statuses = [status for status, targets in ALLOWED_MOVES.items() if to_status in targets]
    values = {**values, "status": to_status}
    job = queries.move_job(conn, job_id, from_statuses=from_statuses, lease_owner=owner, values=values)
    if job is None:
        raise LostJob(job_id)
    return job


def _end_early(
    conn: Connection, job_id: str, to_status: JobStatus, error: ServiceError, *, lease_owner: str | None, now: datetime
) -> Job:
    job = queries.lock_job(conn, job_id)
    if job is None:
        raise LostJob(job_id)
    if not job.images:
        values = {"error_code": error.code, "error_message": error.message}
        return _finish(conn, job, to_status, lease_owner=lease_owner, now=now, num_images=0, **values)
    warnings = [*job.warnings, missing_images_warning(job, num_images=len(job.images), reason=error.message)]
    return _finish(
        conn,
        job,
        JobStatus.COMPLETED,
        lease_owner=lease_owner,
        now=now,
        num_images=len(job.images),
        warnings=warnings,
    )


def missing_images_warning(job: Job, *, num_images: int, reason: str) -> str:
    """Return the warning of a job that ended with so many images, fewer than were asked for."""
    num_missing = job.request.num_images - num_images
    return f"{num_missing} of the images failed and are not charged. {reason}".strip()


def _result_values(result: JobResult) -> dict[str, Any]:
    images = sorted(result.images, key=lambda image: image.image_index)
    return {
        "images": [asdict(image) for image in images],
        "engine": result.engine,
        "safety": dict(result.safety),
        "warnings": list(result.warnings),
        "expanded_prompt": result.expanded_prompt,
        "timings": dict(result.timings),
    }


def _finish(
    conn: Connection,
    job: Job,
    to_status: JobStatus,
    *,
    lease_owner: str | None,
    now: datetime,
    num_images: int,
    **values: Any,
) -> Job:
    charged_credits = job.price_credits // job.request.num_images * num_images
    values |= {"charged_credits": charged_credits, "finished_at": now, "lease_owner": None, "lease_expires_at": None}
    finished = _move(conn, job.id, to_status, owner=lease_owner, values=values)
    settled = credits.settle(conn, hold_id=job.id, captured_credits=charged_credits, now=now)
    assert settled, f"the hold of unfinished job {job.id} was settled"
    if finished.webhook_url is not None:
        deliveries.schedule(conn, finished, now=now)
    send_ended(conn, job.id)
    return finished
