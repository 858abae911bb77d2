"""What the handlers work with: the parts of the service and a few plain values. `app` puts it together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from danqing.accounts.limits import KeyLimits
from danqing.database import Database
from danqing.engine.interface import Engine
from danqing.jobs.service import JobService
from danqing.storage.image_store import ImageStore
from danqing.telemetry import Metrics


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that a handler may reach. `public_url` None: links begin as the client's own request did."""

    database: Database
    jobs: JobService
    store: ImageStore
    engine: Engine
    key_limits: KeyLimits
    metrics: Metrics
    clock: Callable[[], datetime]
    max_body_bytes: int
    public_url: str | None
    low_balance_credits: int


def services_of(request: Request) -> Services:
    """The services of the application that serves this request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def base_url(request: Request) -> str:
    """Where links to this server begin, without a slash at the end."""
    return (services_of(request).public_url or str(request.base_url)).rstrip("/")
