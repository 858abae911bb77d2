"""Jobs in the service's metrics."""

from dataclasses import replace

from fakes import IMAGE, REQUEST

from danqing.jobs.job import Job, JobStatus, Origin
from danqing.jobs.metrics import JobMetrics
from danqing.telemetry import Metrics


def test_a_job_is_counted_with_its_times_its_images_and_its_credits(clock):
    metrics = Metrics()
    observer = JobMetrics(metrics)
    job = Job(
        id="j",
        account_id="acme",
        api_key_id="k",
        origin=Origin.API,
        request=REQUEST,
        status=JobStatus.QUEUED,
        created_at=clock(),
        price_credits=5,
    )
    observer.job_changed(job)
    job = replace(job, status=JobStatus.GENERATING, started_at=clock.advance(seconds=3))
    observer.job_changed(job)
    images = (IMAGE, replace(IMAGE, flagged=True))
    job = replace(
        job, status=JobStatus.COMPLETED, finished_at=clock.advance(seconds=7), images=images, charged_credits=5
    )
    observer.job_changed(job)
    text = metrics.text().decode()
    for line in (
        "danqing_job_queue_seconds_sum 3.0",
        "danqing_job_duration_seconds_sum 7.0",
        'danqing_jobs_total{error_code="",status="completed"} 1.0',
        'danqing_images_total{flagged="true"} 1.0',
        "danqing_credits_charged_total 5.0",
    ):
        assert line in text, line
