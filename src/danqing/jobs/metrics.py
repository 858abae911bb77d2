"""Metrics and log lines of jobs, written as their status changes."""

import logging

from danqing.jobs.job import Job, JobStatus
from danqing.telemetry import Metrics

logger = logging.getLogger(__name__)


class JobMetrics:
    """A `JobObserver` that counts jobs in the service's metrics and logs each change."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def job_changed(self, job: Job) -> None:
        """Count and log the change."""
        logger.info("job", extra={"inference_id": job.id, "status": job.status.value, "error_code": job.error_code})
        if job.status is JobStatus.GENERATING and job.started_at is not None:
            self._metrics.job_started(queue_seconds=(job.started_at - job.created_at).total_seconds())
        if job.status.finished:
            self._count_end(job)

    def _count_end(self, job: Job) -> None:
        seconds = None
        if job.started_at is not None and job.finished_at is not None:
            seconds = (job.finished_at - job.started_at).total_seconds()
        self._metrics.job_finished(
            job.status.value, error_code=job.error_code or "", seconds=seconds, charged_credits=job.charged_credits
        )
        for image in job.images:
            self._metrics.image_finished(flagged=image.flagged)
