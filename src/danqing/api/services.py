"""The parts of the service that handlers work with. `app` puts them together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request

from danqing.accounts.limits import KeyRates, RunningRequests
from danqing.accounts.shared_limits import SharedRates
from danqing.api.spellings import ModelAliases
from danqing.database import Database
from danqing.engine.interface import Engine
from danqing.jobs.service import JobService
from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.storage.image_store import ImageStore
from danqing.telemetry import Metrics


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that a handler may reach.

    `request_rates` count generation requests, `read_rates` all others that a key makes. `public_url` None: links begin
    as the client's own request did.
    """

    database: Database
    jobs: JobService
    store: ImageStore
    engine: Engine
    profile: CheckpointProfile
    request_rates: SharedRates
    log_rates: SharedRates
    read_rates: KeyRates
    running_requests: RunningRequests
    running_reads: RunningRequests
    metrics: Metrics
    clock: Callable[[], datetime]
    max_body_bytes: int
    max_requests: int
    public_url: str | None
    model_aliases: ModelAliases
    low_balance_credits: int
    metrics_token: str | None

    def base_url(self, request: Request) -> str:
        """Return the beginning of every link to this server, without a slash at the end."""
        return (self.public_url or str(request.base_url)).rstrip("/")

    @property
    def public_path(self) -> str:
        """The path of the public URL, without a slash at the end: empty, or such as "/danqing"."""
        return urlsplit(self.public_url or "").path.rstrip("/")


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


ServicesDep = Annotated[Services, Depends(_services)]
