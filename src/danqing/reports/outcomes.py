"""Outcomes: what became of a finished request, as its owner sees it."""

from enum import StrEnum

from danqing.jobs.job import JobStatus


class Outcome(StrEnum):
    """A request succeeded if it handed out an image; one that failed or was cancelled before is free."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


STATUSES = {
    Outcome.SUCCEEDED: (JobStatus.COMPLETED,),
    Outcome.FAILED: (JobStatus.ERROR, JobStatus.CANCELLED),
}


def outcome_of(status: JobStatus) -> Outcome:
    """Return the outcome of a finished job."""
    return next(outcome for outcome, statuses in STATUSES.items() if status in statuses)
