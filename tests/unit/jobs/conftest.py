"""The fixture `house`, for the tests of jobs."""

from house import house  # noqa: F401
