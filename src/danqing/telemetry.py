"""Telemetry of the service: structured logs and Prometheus metrics.

Every `Metrics` object has a registry of its own, so two servers in one process count separately.
"""

import json
import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# The request that the current asyncio task serves; every log line of that task carries the id.
inference_id_of_request: ContextVar[str | None] = ContextVar("inference_id", default=None)

REQUEST_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
JOB_SECONDS_BUCKETS = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1200)

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, inference id, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        inference_id = inference_id_of_request.get()
        if inference_id is not None:
            line["inference_id"] = inference_id
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)


class TextFormatter(logging.Formatter):
    """One line for people: time, level, logger, message, and the fields of `extra` as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """Format one record, without a traceback."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        fields.setdefault("inference_id", inference_id_of_request.get())
        shown = [f"{name}={_quoted(str(value))}" for name, value in fields.items() if value is not None]
        return " ".join([super().formatMessage(record), *shown])


def _quoted(value: str) -> str:
    # A path may hold line ends, which would forge a line.
    return value if value.isprintable() and " " not in value else json.dumps(value)


def configure_logging(*, level: str, log_format: str) -> None:
    """Send all logs of the process to standard error, in one format."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json" or (log_format == "auto" and (sys.stderr is None or not sys.stderr.isatty())):
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # The API logs each request itself.
    logging.getLogger("uvicorn.access").disabled = True


class Metrics:
    """The service's metrics."""

    def __init__(self) -> None:
        """Start every count at zero."""
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        labels = ("method", "route", "status")
        self._requests = Counter("http_requests_total", "HTTP requests served.", labels, registry=registry)
        self._request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request to the end of its response.",
            ("method", "route"),
            buckets=REQUEST_SECONDS_BUCKETS,
            registry=registry,
        )
        self._jobs = Counter("danqing_jobs_total", "Jobs that ended.", ("status", "error_code"), registry=registry)
        self._job_seconds = Histogram(
            "danqing_job_duration_seconds",
            "Time that completed jobs spent in the engine.",
            buckets=JOB_SECONDS_BUCKETS,
            registry=registry,
        )
        self._queue_seconds = Histogram(
            "danqing_job_queue_seconds",
            "Time that jobs waited for the engine.",
            buckets=JOB_SECONDS_BUCKETS,
            registry=registry,
        )
        self._images = Counter("danqing_images_total", "Images finished.", ("flagged",), registry=registry)
        self._errors = Counter(
            "danqing_request_errors_total", "Requests that got an error.", ("code",), registry=registry
        )
        self._credits = Counter("danqing_credits_charged_total", "Credits charged.", registry=registry)

    def request_finished(self, method: str, *, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request; `route` is the pattern, never the path."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def job_started(self, *, queue_seconds: float) -> None:
        """Count a job that left the queue."""
        self._queue_seconds.observe(queue_seconds)

    def job_finished(self, status: str, *, error_code: str, seconds: float | None, charged_credits: int) -> None:
        """Count a job that ended; `seconds` is its time in the engine, None if it never started."""
        self._jobs.labels(status, error_code).inc()
        self._credits.inc(charged_credits)
        if seconds is not None and status == "completed":
            self._job_seconds.observe(seconds)

    def image_finished(self, *, flagged: bool) -> None:
        """Count an image."""
        self._images.labels("true" if flagged else "false").inc()

    def request_failed(self, error_code: str) -> None:
        """Count a request that got an error."""
        self._errors.labels(error_code).inc()

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Report the value that `read` returns at each scrape."""
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
