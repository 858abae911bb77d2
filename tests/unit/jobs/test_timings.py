"""How long the parts of a job took."""

import pytest

from danqing.jobs.timings import JobPart, Stopwatch


def test_the_times_of_a_part_add_up_and_a_failure_counts():
    moments = iter([0, 1.5, 2, 2.25, 3, 3.004])
    stopwatch = Stopwatch(monotonic=lambda: next(moments))
    with stopwatch.timing(JobPart.STORE):
        pass
    with pytest.raises(OSError, match="disk"), stopwatch.timing(JobPart.STORE):
        raise OSError("disk")
    with stopwatch.timing(JobPart.CHECK):
        pass
    assert stopwatch.milliseconds == {"store": 1750, "check": 4}
