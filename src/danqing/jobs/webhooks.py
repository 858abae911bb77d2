"""Tells webhook URLs how their jobs ended, by Standard Webhooks: signed, without picture bytes, again if need be.

What the body's `data` looks like is the edge's business: a function makes it of the finished job.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from danqing.accounts.accounts import webhook_secret
from danqing.database import Database
from danqing.jobs import deliveries
from danqing.jobs.deliveries import Delivery
from danqing.jobs.job import Job, JobStatus
from danqing.jobs.webhook_targets import ForbiddenTarget, resolve_public

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
MAX_CONCURRENT_SENDS = 8
SEND_TIMEOUT_SECONDS = 15.0
SECRET_PREFIX = "whsec_"
# The receiver says that it never wants to hear of this again.
GONE = 410

Describe = Callable[[Job], Awaitable[Mapping[str, Any]]]
Resolve = Callable[[str, int], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class _Failure:
    error: str
    final: bool = False


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Give the value of `webhook-signature`; the secret is base64 after `whsec_`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


async def webhook_body(job: Job, *, describe: Describe) -> bytes:
    """Write the body for a finished job: the same bytes at every attempt."""
    assert job.finished_at is not None, f"job {job.id} is not finished"
    outcome = "completed" if job.status is JobStatus.COMPLETED else "failed"
    message = {
        "type": f"image.generation.{outcome}",
        "timestamp": job.finished_at.isoformat().replace("+00:00", "Z"),
        "data": await describe(job),
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _client() -> httpx.AsyncClient:
    """A client for which every request stands alone.

    No proxy from the environment: it would resolve the name again. No redirect: it could lead anywhere. No connection
    kept: they are filed by address, and the next host there might be another one than the certificate named.
    """
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=SEND_TIMEOUT_SECONDS,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


class WebhookSender:
    """Sends what is due, as long as it runs. Several processes may do so on one database."""

    def __init__(
        self,
        database: Database,
        *,
        describe: Describe,
        clock: Callable[[], datetime],
        resolve: Resolve = resolve_public,
    ) -> None:
        self._database = database
        self._describe = describe
        self._clock = clock
        self._resolve = resolve
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._loop = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """End; what is under way is tried again by the next process."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop

    async def send_due(self) -> int:
        """Send every webhook whose time has come, once; return how many were tried."""
        claimed = await self._database.run_write(
            lambda conn: deliveries.claim(conn, now=self._clock(), limit=MAX_CONCURRENT_SENDS)
        )
        if claimed:
            async with _client() as client, asyncio.TaskGroup() as sends:
                for delivery in claimed:
                    sends.create_task(self._deliver(client, delivery))
        return len(claimed)

    async def _run(self) -> None:
        while True:
            try:
                while await self.send_due():
                    pass
            except Exception:
                logger.exception("sending webhooks failed; it goes on")
            await asyncio.sleep(POLL_SECONDS)

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        try:
            failure = await self._try(client, delivery)
        except Exception:
            # A fault of ours with this one must not keep the others; its claim runs out and it is tried again.
            logger.exception("webhook of job %s could not be sent", delivery.job.id)
            return
        if failure is None:
            await self._database.run_write(lambda conn: deliveries.succeed(conn, delivery))
            return
        logger.warning("webhook of job %s failed: %s", delivery.job.id, failure.error)
        await self._database.run_write(
            lambda conn: deliveries.fail(conn, delivery, error=failure.error, final=failure.final, now=self._clock())
        )

    async def _try(self, client: httpx.AsyncClient, delivery: Delivery) -> _Failure | None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                status = await self._post(client, delivery)
        except ForbiddenTarget as refusal:
            return _Failure(error=str(refusal), final=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return _Failure(error=f"{type(error).__name__}: {error}")
        if 200 <= status < 300:
            return None
        return _Failure(error=f"status {status}", final=status == GONE)

    async def _post(self, client: httpx.AsyncClient, delivery: Delivery) -> int:
        assert delivery.job.webhook_url is not None, f"delivery {delivery.id} without a URL"
        url = httpx.URL(delivery.job.webhook_url)
        host = url.raw_host.decode("ascii")
        address = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
        body = await webhook_body(delivery.job, describe=self._describe)
        timestamp = int(self._clock().timestamp())
        secret = await self._database.run_read(lambda conn: webhook_secret(conn, delivery.job.account_id))
        request = client.build_request(
            "POST",
            # The very address that was judged: a second look-up could give another one.
            url.copy_with(host=address),
            content=body,
            headers={
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "User-Agent": "danqing-webhooks",
                "webhook-id": delivery.id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(secret, message_id=delivery.id, timestamp=timestamp, body=body),
            },
            extensions={"sni_hostname": host},
        )
        # Only the status matters; the body could be endless.
        response = await client.send(request, stream=True)
        await response.aclose()
        return response.status_code
