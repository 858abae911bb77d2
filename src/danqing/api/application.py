"""The web application: routes, layers and error handlers, put together."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from danqing.api import (
    billing,
    estimates,
    files,
    health,
    images,
    jobs,
    keys,
    log_details,
    logs,
    models,
    status,
    transactions,
    usage,
)
from danqing.api.context import RequestContext
from danqing.api.documents import ERROR_RESPONSE
from danqing.api.errors import handle_framework_error, handle_query_error, handle_service_error
from danqing.api.head_requests import HeadRequests
from danqing.api.health import Health
from danqing.api.paths import CanonicalPaths
from danqing.api.services import Services
from danqing.errors import ServiceError

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

PREFLIGHT_SECONDS = 86_400


def build_api(services: Services, *, lifespan: Lifespan, version: str) -> FastAPI:
    """Build the application. `lifespan` starts and stops the services."""
    api = FastAPI(
        title="Danqing",
        description="Self-hosted HunyuanImage-3.0 behind the hosted image API.",
        version=version,
        lifespan=lifespan,
        # `CanonicalPaths` drops slashes at the end: a redirect would lose the body of a POST.
        redirect_slashes=False,
        # Relative to the host that serves the document.
        servers=[{"url": services.public_path or "/"}],
        # FastAPI's own pages load their scripts from another host.
        docs_url=None,
        redoc_url=None,
        responses={"default": ERROR_RESPONSE},
    )
    api.state.services = services
    api.state.health = Health(services)
    for part in (
        images,
        estimates,
        jobs,
        models,
        keys,
        billing,
        transactions,
        usage,
        logs,
        log_details,
        files,
        status,
        health,
    ):
        api.include_router(part.router)
    api.add_exception_handler(ServiceError, handle_service_error)
    api.add_exception_handler(RequestValidationError, handle_query_error)
    api.add_exception_handler(HTTPException, handle_framework_error)
    # The last one added is the outermost.
    api.add_middleware(CanonicalPaths, public_path=services.public_path)
    api.add_middleware(HeadRequests)
    # Preflight requests; `RequestContext` allows every origin on all other responses.
    api.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        allow_private_network=True,
        max_age=PREFLIGHT_SECONDS,
    )
    api.add_middleware(RequestContext, metrics=services.metrics, max_requests=services.max_requests)
    return api
