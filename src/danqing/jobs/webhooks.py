"""Webhooks: tell URLs how their jobs ended, by Standard Webhooks, signed, without image bytes, with retries.

`describe` makes the body's `data` of a finished job.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy import Connection

from danqing.accounts.accounts import webhook_secret
from danqing.database import Database
from danqing.errors import Overloaded
from danqing.jobs import deliveries
from danqing.jobs.deliveries import MAX_CONCURRENT_SENDS, Delivery, SendRoom
from danqing.jobs.job import Job, JobStatus
from danqing.jobs.webhook_targets import ForbiddenTarget, Target, WebhookTargets, parse_target

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
SEND_TIMEOUT_SECONDS = 15.0
SECRET_PREFIX = "whsec_"
# The receiver wants no more of this.
GONE = 410

Describe = Callable[[Job], Awaitable[Mapping[str, Any]]]
# From host and port to the address to connect to.
Resolve = Callable[[str, int], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class _Failure:
    error: str
    final: bool = False


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`; the secret is base64 after `whsec_`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


async def webhook_body(job: Job, *, describe: Describe) -> bytes:
    """Return the body for a finished job: the same bytes at every attempt."""
    assert job.finished_at is not None, f"job {job.id} is not finished"
    outcome = "completed" if job.status is JobStatus.COMPLETED else "failed"
    message = {
        "type": f"image.generation.{outcome}",
        "timestamp": job.finished_at.isoformat().replace("+00:00", "Z"),
        "data": await describe(job),
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _transport() -> httpx.AsyncHTTPTransport:
    """Return a transport for which every request stands alone.

    It knows no proxy, which would resolve the name again, no redirect, which could lead anywhere, and no cookie. It
    keeps no connection: they are filed by address, and another host there could have another certificate.
    """
    limits = httpx.Limits(max_connections=MAX_CONCURRENT_SENDS, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(trust_env=False, limits=limits)


class WebhookSender:
    """Sends what is due, as long as it runs. Several processes may do so on one database."""

    def __init__(
        self,
        database: Database,
        *,
        describe: Describe,
        clock: Callable[[], datetime],
        targets: WebhookTargets | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """Send to `targets`, by default to public addresses; `resolve` replaces their lookup of names."""
        self._database = database
        self._describe = describe
        self._clock = clock
        self._targets = targets or WebhookTargets()
        self._resolve = resolve or self._targets.resolve
        self._transport = _transport()
        self._sending: dict[asyncio.Task[None], Delivery] = {}
        self._loop: asyncio.Task[None] | None = None

    @property
    def num_under_way(self) -> int:
        """Webhooks that are being sent."""
        return len(self._sending)

    def start(self) -> None:
        """Begin to send."""
        self._loop = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """End; webhooks under way are retried by the next process."""
        tasks = [*self._sending, *([] if self._loop is None else [self._loop])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.aclose()

    async def send_due(self) -> int:
        """Begin to send the webhooks that are due and for which there is room; return how many."""
        room = SendRoom(self._sending.values())
        claimed = await self._database.run_write(lambda conn: deliveries.claim(conn, now=self._clock(), room=room))
        for delivery in claimed:
            task = asyncio.create_task(self._send(delivery), name=f"webhook-{delivery.job.id}")
            self._sending[task] = delivery
            task.add_done_callback(self._sending.pop)
        return len(claimed)

    async def wait_until_sent(self) -> None:
        """Wait for the webhooks under way."""
        while self._sending:
            await asyncio.wait([*self._sending])

    async def _run(self) -> None:
        while True:
            try:
                await self.send_due()
            except Overloaded:
                pass  # The database has logged it.
            except Exception:
                logger.exception("sending webhooks failed; it goes on")
            if self._sending:
                await asyncio.wait([*self._sending], timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def _send(self, delivery: Delivery) -> None:
        try:
            failure = await self._try(delivery)
            await self._database.run_write(lambda conn: self._note(conn, delivery, failure))
        except Overloaded:
            return  # The database is away: the claim runs out, and the webhook is sent again.
        except Exception:
            # A fault of ours: the claim runs out, and it is tried again.
            logger.exception("webhook of job %s could not be sent", delivery.job.id)
            return
        if failure is not None:
            logger.warning("webhook of job %s failed: %s", delivery.job.id, failure.error)
            # A lookup that goes on counts as under way, so that slow names of one account cannot take every thread.
            await self._targets.settled(_target(delivery).host)

    def _note(self, conn: Connection, delivery: Delivery, failure: _Failure | None) -> None:
        if failure is None:
            deliveries.succeed(conn, delivery)
        else:
            deliveries.fail(conn, delivery, error=failure.error, final=failure.final, now=self._clock())

    async def _try(self, delivery: Delivery) -> _Failure | None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                status = await self._post(delivery)
        except ForbiddenTarget as refusal:
            return _Failure(error=str(refusal), final=True)
        except TimeoutError:
            return _Failure(error=f"no response within {SEND_TIMEOUT_SECONDS:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return _Failure(error=f"{type(error).__name__}: {error}")
        if 200 <= status < 300:
            return None
        return _Failure(error=f"status {status}", final=status == GONE)

    async def _post(self, delivery: Delivery) -> int:
        url, target = httpx.URL(delivery.job.webhook_url or ""), _target(delivery)
        address = await self._resolve(target.host, target.port)
        body = await webhook_body(delivery.job, describe=self._describe)
        timestamp = int(self._clock().timestamp())
        secret = await self._database.run_read(lambda conn: webhook_secret(conn, delivery.job.account_id))
        request = httpx.Request(
            "POST",
            # The very address that was judged: another lookup could give another one.
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
            extensions={"sni_hostname": target.host, "timeout": httpx.Timeout(SEND_TIMEOUT_SECONDS).as_dict()},
        )
        # Only the status matters; the body could be endless.
        response = await self._transport.handle_async_request(request)
        await response.aclose()
        return response.status_code


def _target(delivery: Delivery) -> Target:
    assert delivery.job.webhook_url is not None, f"delivery {delivery.id} without a URL"
    return parse_target(delivery.job.webhook_url)
