"""The composition root: picks the implementations, and starts and stops them in order."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from danqing.accounts.limits import KeyRates, RunningRequests
from danqing.accounts.pricing import Price
from danqing.accounts.shared_limits import BucketRates, MinuteRates
from danqing.api.application import build_api
from danqing.api.responses import ResponseFormat, job_body
from danqing.api.services import Services
from danqing.api.spellings import ModelAliases
from danqing.database import Database
from danqing.engine.interface import Engine, EngineState
from danqing.engines import engine_of, prompt_expander, request_profile
from danqing.first_start import Clock, prepare, utc_now
from danqing.jobs.limits import JobLimits
from danqing.jobs.metrics import JobMetrics
from danqing.jobs.ports import JobParts
from danqing.jobs.service import JobService
from danqing.jobs.webhook_targets import WebhookTargets
from danqing.jobs.webhooks import WebhookSender
from danqing.playground.page import console_router, playground_router
from danqing.playground.reference import reference_router
from danqing.safety.classifier_check import ClassifierImageCheck
from danqing.safety.image_check import ImageCheck, NoImageCheck
from danqing.safety.prompt_check import PolicyPromptCheck
from danqing.safety.verdict import NO_CHECKER
from danqing.settings import Settings
from danqing.storage.clean_up import clean_up_for_ever
from danqing.storage.image_store import ImageStore
from danqing.storage.local import LocalImageStore
from danqing.telemetry import Metrics

if TYPE_CHECKING:
    from danqing.tracing import Tracing

IMAGES_FOLDER = "images"
SPARE_CONNECTIONS = 16
# The described platform's limit, which its clients are built for.
LOG_READS_PER_MINUTE = 200


def create_app(
    settings: Settings,
    *,
    engine: Engine | None = None,
    image_check: ImageCheck | None = None,
    tracing: "Tracing | None" = None,
    clock: Clock = utc_now,
) -> FastAPI:
    """Build the server; nothing starts before its lifespan.

    `engine`, `image_check` and `tracing` replace those that the settings name; the engine may have started already.
    """
    metrics = Metrics()
    tracing = tracing or _tracing(settings)
    store = _image_store(settings, clock=clock)
    engine = engine or engine_of(settings)
    if tracing is not None:
        engine = _traced_engine(engine, tracing)
    image_check = image_check or _image_check(settings)
    parts = _job_parts(settings, engine=engine, store=store, image_check=image_check, metrics=metrics, tracing=tracing)
    webhook_targets = WebhookTargets(allowed_networks=settings.webhook_allowed_networks)
    database = Database(settings.database_location)
    jobs = _job_service(settings, database, parts=parts, webhook_targets=webhook_targets, metrics=metrics, clock=clock)
    services = _services(
        settings, database=database, jobs=jobs, store=store, engine=engine, metrics=metrics, clock=clock
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # After a second signal the event loop ends by cancelling this task, which still stops every part.
        with suppress(asyncio.CancelledError):
            async with _running(settings, services=services, image_check=image_check, webhook_targets=webhook_targets):
                yield
        if tracing is not None:
            await asyncio.to_thread(tracing.stop)

    api = build_api(services, lifespan=lifespan, version=package_version())
    api.include_router(playground_router(megapixel_credits=settings.price_megapixel_credits))
    api.include_router(console_router())
    api.include_router(reference_router())
    if tracing is not None:
        from danqing.tracing import TracedRequests

        api.add_middleware(TracedRequests, tracing=tracing)
    return api


def _job_parts(
    settings: Settings,
    *,
    engine: Engine,
    store: ImageStore,
    image_check: ImageCheck,
    metrics: Metrics,
    tracing: "Tracing | None",
) -> JobParts:
    parts = JobParts(
        engine=engine,
        store=store,
        prompt_check=PolicyPromptCheck(),
        image_check=image_check,
        expander=prompt_expander(settings, engine),
        observer=JobMetrics(metrics),
    )
    return parts if tracing is None else _traced(parts, tracing)


def _job_service(
    settings: Settings,
    database: Database,
    *,
    parts: JobParts,
    webhook_targets: WebhookTargets,
    metrics: Metrics,
    clock: Clock,
) -> JobService:
    jobs = JobService(
        database,
        parts=parts,
        limits=_job_limits(settings),
        price=Price(megapixel_credits=settings.price_megapixel_credits),
        clock=clock,
        webhook_targets=webhook_targets,
    )
    metrics.watch("danqing_jobs_queued", "Jobs waiting.", lambda: jobs.num_queued)
    metrics.watch("danqing_jobs_running", "Jobs in the engine.", lambda: jobs.num_running)
    return jobs


def _services(
    settings: Settings,
    *,
    database: Database,
    jobs: JobService,
    store: ImageStore,
    engine: Engine,
    metrics: Metrics,
    clock: Clock,
) -> Services:
    return Services(
        database=database,
        jobs=jobs,
        store=store,
        engine=engine,
        profile=request_profile(settings),
        request_rates=BucketRates(
            database, name="requests", requests_per_minute=settings.requests_per_minute, clock=clock
        ),
        log_rates=MinuteRates(database, name="log reads", requests_per_minute=LOG_READS_PER_MINUTE, clock=clock),
        read_rates=KeyRates(requests_per_minute=settings.reads_per_minute, monotonic=time.monotonic, name="reads"),
        running_requests=RunningRequests(max_per_key=settings.max_concurrent_requests),
        running_reads=RunningRequests(max_per_key=settings.max_concurrent_requests, name="reads"),
        metrics=metrics,
        clock=clock,
        max_body_bytes=settings.max_body_bytes,
        # The last connections are for liveness checks.
        max_requests=max(1, settings.max_connections - SPARE_CONNECTIONS),
        model_aliases=ModelAliases(names=settings.model_alias_names, response_format=settings.default_response_format),
        public_url=str(settings.public_url) if settings.public_url else None,
        low_balance_credits=settings.low_balance_credits,
        metrics_token=settings.metrics_token.get_secret_value() if settings.metrics_token else None,
    )


@asynccontextmanager
async def _running(
    settings: Settings, *, services: Services, image_check: ImageCheck, webhook_targets: WebhookTargets
) -> AsyncIterator[None]:
    """Start every part, and stop them in reverse order: first the sources of work, last the engine."""
    store, base_url = services.store, _webhook_base_url(settings)
    webhooks = WebhookSender(
        services.database,
        describe=lambda job: job_body(job, response_format=ResponseFormat(base_url=base_url), store=store),
        clock=services.clock,
        targets=webhook_targets,
    )
    await asyncio.to_thread(prepare, settings, clock=services.clock)
    await store.start()
    await image_check.start()
    # `danqing serve` starts its engine before it imports the rest of the server.
    if services.engine.status().state is EngineState.STOPPED:
        await services.engine.start()
    await services.jobs.start()
    webhooks.start()
    cleaning = asyncio.create_task(clean_up_for_ever(store, interval_seconds=settings.file_cleanup_interval_seconds))
    try:
        yield
    finally:
        cleaning.cancel()
        await services.jobs.drain(settings.drain_seconds)
        await webhooks.stop()
        await services.engine.stop()
        await image_check.stop()
        await asyncio.wait([cleaning])
        services.database.close()


def package_version() -> str:
    """Return the installed version; a source tree that was never installed has none."""
    try:
        return version("danqing")
    except PackageNotFoundError:
        return "0+source"


def _tracing(settings: Settings) -> "Tracing | None":
    if settings.tracing_endpoint is None:
        return None
    # Here and not above: its library comes with the extra `tracing` alone.
    from danqing.tracing import Tracing, otlp_exporter

    return Tracing(otlp_exporter(str(settings.tracing_endpoint)), version=package_version())


def _traced_engine(engine: Engine, tracing: "Tracing") -> Engine:
    from danqing.tracing import TracedEngine

    return TracedEngine(engine, tracing=tracing)


def _traced(parts: JobParts, tracing: "Tracing") -> JobParts:
    from danqing.tracing import TracedJobs, TracedStore

    return replace(
        parts,
        store=TracedStore(parts.store, tracing=tracing),
        observer=TracedJobs(parts.observer, tracing=tracing),
    )


def _image_store(settings: Settings, *, clock: Clock) -> ImageStore:
    if settings.storage_url is not None:
        # Here and not above: its library comes with the extra `s3` alone.
        from danqing.storage.bucket import BucketImageStore, open_bucket

        return BucketImageStore(
            open_bucket(settings.storage_url),
            lifetime=settings.file_lifetime,
            clock=clock,
            presigned_links=settings.presigned_links,
        )
    return LocalImageStore(settings.data_folder / IMAGES_FOLDER, lifetime=settings.file_lifetime, clock=clock)


def _image_check(settings: Settings) -> ImageCheck:
    if settings.image_check == NO_CHECKER:
        return NoImageCheck()
    return ClassifierImageCheck(settings.image_check, threshold=settings.image_check_threshold)


def _webhook_base_url(settings: Settings) -> str:
    # There is no request here whose address the links could repeat.
    return settings.base_url


def _job_limits(settings: Settings) -> JobLimits:
    return JobLimits(
        max_queued_jobs=settings.max_queued_jobs,
        max_queued_jobs_per_account=settings.max_queued_jobs_per_account,
        max_concurrent_jobs=settings.max_concurrent_jobs,
        max_running_per_key=settings.max_concurrent_requests,
        max_queue_seconds=settings.max_queue_seconds,
        job_time_limit_seconds=settings.job_time_limit_seconds,
        lease_seconds=settings.lease_seconds,
    )
