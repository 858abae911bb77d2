"""Outcomes of requests."""

from danqing.jobs.job import JobStatus
from danqing.reports.outcomes import STATUSES, outcome_of


def test_every_finished_status_has_one_outcome_and_no_other_has_any():
    listed = [status for statuses in STATUSES.values() for status in statuses]
    assert sorted(listed) == sorted(status for status in JobStatus if status.finished)
    assert all(outcome_of(status) is outcome for outcome, statuses in STATUSES.items() for status in statuses)
