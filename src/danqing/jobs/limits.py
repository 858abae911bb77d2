"""The limits of the job system."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class JobLimits:
    """How much may wait, how much may run, and for how long.

    `max_queued_jobs` counts all accounts, `max_queued_jobs_per_account` keeps one from filling the queue; both count
    this process alone. `max_running_per_key` counts requests that callers wait for, in all processes of the database.
    A job whose owner has not renewed its lease for `lease_seconds` counts as lost.
    """

    max_queued_jobs: int = 512
    max_queued_jobs_per_account: int = 256
    max_concurrent_jobs: int = 4
    max_running_per_key: int = 256
    max_queue_seconds: float = 600.0
    job_time_limit_seconds: float = 600.0
    lease_seconds: float = 15.0
