"""OpenTelemetry spans of a request: its HTTP exchange, its job, its engine tasks, the storage of each image.

The spans wrap the parts from outside. All spans of one inference id share a trace that is made from the id, because a
job outlives its request and may be finished by another process. Needs the extra `tracing`.
"""

import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import aclosing, contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context

from danqing.engine.interface import Engine, EngineStatus, ImageResult, Progress
from danqing.jobs.job import Job, JobStatus
from danqing.jobs.ports import JobObserver
from danqing.pictures.request import Expansion, ImageRequest
from danqing.storage.image_store import ImageWriter
from danqing.telemetry import inference_id_of_request

INFERENCE_ID = "danqing.inference_id"
NANOSECONDS = 10**9

Attributes = dict[str, str | int]
Message = MutableMapping[str, Any]


class Tracing:
    """Collects finished spans and sends them in the background; a collector that is down costs only the spans."""

    def __init__(self, exporter: SpanExporter, *, version: str) -> None:
        """Send with `exporter`."""
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "danqing", "service.version": version}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("danqing")

    def record(
        self, name: str, *, inference_id: str, began_ns: int, ended_ns: int, attributes: Attributes, failed: bool
    ) -> None:
        """Record one finished span; times are nanoseconds since 1970."""
        span = self._tracer.start_span(
            name,
            context=_trace_of(inference_id),
            start_time=began_ns,
            attributes={INFERENCE_ID: inference_id, **attributes},
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended_ns)

    @contextmanager
    def span(self, name: str, *, inference_id: str) -> Iterator[Attributes]:
        """Time a piece of work, which may add attributes while it runs; an exception marks it as failed."""
        attributes: Attributes = {}
        began_ns, failed = time.time_ns(), True
        try:
            yield attributes
            failed = False
        finally:
            ended_ns = time.time_ns()
            self.record(
                name,
                inference_id=inference_id,
                began_ns=began_ns,
                ended_ns=ended_ns,
                attributes=attributes,
                failed=failed,
            )

    def stop(self) -> None:
        """Send the remaining spans."""
        self._provider.shutdown()


class TracedRequests:
    """An ASGI layer around the application: a span for each HTTP request that got an inference id."""

    def __init__(self, app: Callable[..., Awaitable[None]], *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        """Serve one request."""
        began_ns, status = time.time_ns(), 0

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            inference_id = scope.get("state", {}).get("inference_id")
            if inference_id is not None:
                route = getattr(scope.get("route"), "path", "unknown")
                self._tracing.record(
                    f"{scope['method']} {route}",
                    inference_id=inference_id,
                    began_ns=began_ns,
                    ended_ns=time.time_ns(),
                    attributes={"http.route": route, "http.response.status_code": status},
                    failed=status == 0 or status >= 500,
                )


class TracedJobs:
    """A `JobObserver` that makes a span of each finished job, from its submission on, before it tells another."""

    def __init__(self, observer: JobObserver, *, tracing: Tracing) -> None:
        self._observer = observer
        self._tracing = tracing

    def job_changed(self, job: Job) -> None:
        """Pass the change on and record a finished job."""
        self._observer.job_changed(job)
        if job.finished_at is None:
            return
        self._tracing.record(
            "job",
            inference_id=job.id,
            began_ns=int(job.created_at.timestamp() * NANOSECONDS),
            ended_ns=int(job.finished_at.timestamp() * NANOSECONDS),
            attributes={"danqing.status": job.status.value, "danqing.num_attempts": job.num_attempts},
            failed=job.status is not JobStatus.COMPLETED,
        )


class TracedEngine:
    """An `Engine` with a span around each task."""

    def __init__(self, engine: Engine, *, tracing: Tracing) -> None:
        self._engine = engine
        self._tracing = tracing

    async def start(self) -> None:
        """Begin loading."""
        await self._engine.start()

    async def stop(self) -> None:
        """End the engine."""
        await self._engine.stop()

    def status(self) -> EngineStatus:
        """Return where the engine stands now."""
        return self._engine.status()

    async def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the request's images."""
        with self._tracing.span("engine", inference_id=inference_id_of_request.get() or "") as attributes:
            attributes |= {"danqing.num_images": request.num_images, "danqing.num_steps": request.num_inference_steps}
            async with aclosing(self._engine.generate(request, expansion=expansion)) as events:
                async for event in events:
                    yield event

    async def expand(self, request: ImageRequest) -> Expansion:
        """Expand the request's prompt."""
        with self._tracing.span("expand", inference_id=inference_id_of_request.get() or "") as attributes:
            expansion = await self._engine.expand(request)
            attributes["danqing.num_characters"] = len(expansion.caption or "")
            return expansion


class TracedStore:
    """The writing side of an image store, with a span around each picture's way to it."""

    def __init__(self, store: ImageWriter, *, tracing: Tracing) -> None:
        self._store = store
        self._tracing = tracing

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        """Store durably and return the key."""
        with self._tracing.span("storage", inference_id=inference_id_of_request.get() or "") as attributes:
            attributes["danqing.num_bytes"] = len(data)
            return await self._store.put(data, content_type=content_type, extension=extension)

    async def delete(self, path: str) -> None:
        """Remove an image."""
        await self._store.delete(path)


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Return an exporter to an OpenTelemetry collector over HTTP; `endpoint` ends in /v1/traces."""
    return OTLPSpanExporter(endpoint=endpoint)


def _trace_of(inference_id: str) -> Any:
    digest = hashlib.sha256(inference_id.encode()).digest()
    root = SpanContext(
        trace_id=int.from_bytes(digest[:16]),
        span_id=int.from_bytes(digest[16:24]),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(root))
