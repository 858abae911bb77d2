"""Webhooks: signed, sent to a real server, tried again, given up."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from house import finished, until
from sqlalchemy import select, update

from danqing.accounts.accounts import webhook_secret
from danqing.errors import InvalidRequest, Overloaded
from danqing.jobs import deliveries, webhooks
from danqing.jobs.deliveries import DeliveryStatus, SendRoom
from danqing.jobs.job import JobStatus
from danqing.jobs.tables import webhook_deliveries
from danqing.jobs.webhook_targets import ForbiddenTarget
from danqing.jobs.webhooks import WebhookSender


def test_the_signature_is_that_of_standard_webhooks():
    body = b'{"type":"image.generation.completed","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"x"}}'
    signature = webhooks.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        timestamp=1674087231,
        body=body,
    )
    assert signature == "v1,u6K+79n5ldiIe7RIN8QfDZJYry1s6rg7+Sbb3/g2YcY="


@dataclass
class Receiver:
    """A real HTTP server that answers with `statuses` in turn and remembers what it was sent."""

    statuses: list[int] = field(default_factory=lambda: [200])
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    cookie: str = ""
    port: int = 0

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append(({"request": lines[0], **headers}, body))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        location = b"Location: http://127.0.0.1:1/\r\n" if status == 302 else b""
        if self.cookie:
            location += f"Set-Cookie: {self.cookie}\r\n".encode()
        writer.write(b"HTTP/1.1 %d x\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, location))
        await writer.drain()
        writer.close()

    @property
    def url(self):
        return f"http://hooks.example:{self.port}/done?a=b"


@pytest.fixture
async def receiver():
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    await server.wait_closed()


async def _describe(job):
    return {"id": job.id, "status": str(job.status), "name": "画"}


async def _resolve_here(host, port):
    assert host == "hooks.example"
    return "127.0.0.1"


def _sender(house, **changes):
    return WebhookSender(
        house.database, **{"describe": _describe, "clock": house.clock, "resolve": _resolve_here, **changes}
    )


async def _send(sender):
    """Send what is due and return how many were tried."""
    num_sent = await sender.send_due()
    await sender.wait_until_sent()
    return num_sent


async def _finished_job(house, url, **changes):
    async with house.running() as service:
        job = await service.submit(house.submission(webhook_url=url, **changes))
        return await service.wait(job.id, account_id="acme")


def _row(house):
    with house.database.read() as conn:
        return conn.execute(select(webhook_deliveries)).one()


async def test_a_finished_job_is_told_signed_to_the_host_that_was_named(house, receiver):
    job = await _finished_job(house, receiver.url)
    assert await _send(_sender(house)) == 1
    ((headers, body),) = receiver.requests
    assert headers["request"] == "POST /done?a=b HTTP/1.1"
    assert headers["host"] == f"hooks.example:{receiver.port}"
    assert headers["content-type"] == "application/json"
    with house.database.read() as conn:
        secret = webhook_secret(conn, "acme")
    assert headers["webhook-signature"] == webhooks.sign(
        secret, message_id=headers["webhook-id"], timestamp=int(headers["webhook-timestamp"]), body=body
    )
    assert json.loads(body) == {
        "type": "image.generation.completed",
        "timestamp": "2026-11-23T10:00:00Z",
        "data": {"id": job.id, "status": "completed", "name": "画"},
    }
    assert (_row(house).status, _row(house).num_attempts) == ("delivered", 1)
    assert await _send(_sender(house)) == 0


async def test_a_failed_job_is_told_too(house, receiver):
    house.store.failure = Overloaded("full")
    job = await _finished_job(house, receiver.url)
    assert job.status is JobStatus.ERROR
    await _send(_sender(house))
    assert json.loads(receiver.requests[0][1])["type"] == "image.generation.failed"


async def test_a_job_without_a_webhook_tells_nobody(house):
    await _finished_job(house, None)
    assert await _send(_sender(house)) == 0


async def test_a_private_url_is_refused_before_anything_is_charged(house):
    with pytest.raises(InvalidRequest):
        await _finished_job(house, "http://127.0.0.1/")
    assert house.observer.changes == []


async def test_a_failure_is_tried_again_later_with_the_same_id_and_body(house, receiver):
    await _finished_job(house, receiver.url)
    receiver.statuses = [500, 302, 200]
    sender = _sender(house)
    for delay_seconds in (0, 5, 60):
        if delay_seconds:
            house.clock.advance(seconds=delay_seconds - 1)
            assert await _send(sender) == 0
            house.clock.advance(seconds=1)
        assert await _send(sender) == 1
    assert _row(house).status == "delivered"
    assert len({(headers["webhook-id"], body) for headers, body in receiver.requests}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.requests}) == 3


async def test_after_the_last_attempt_it_is_given_up(house, receiver):
    await _finished_job(house, receiver.url)
    receiver.statuses = [503]
    sender = _sender(house)
    for _ in range(20):
        await _send(sender)
        house.clock.advance(days=1)
    assert len(receiver.requests) == deliveries.MAX_WEBHOOK_ATTEMPTS
    assert (_row(house).status, _row(house).last_error) == ("failed", "status 503")


async def test_a_receiver_that_is_gone_is_left_alone(house, receiver):
    await _finished_job(house, receiver.url)
    receiver.statuses = [410]
    await _send(_sender(house))
    assert (_row(house).status, _row(house).next_attempt_at) == ("failed", None)


async def test_a_host_that_resolves_to_a_private_address_is_never_connected_to(house, receiver):
    async def forbidden(host, port):
        raise ForbiddenTarget(f"{host} resolves to 127.0.0.1, which is not public")

    await _finished_job(house, receiver.url)
    await _send(_sender(house, resolve=forbidden))
    assert receiver.requests == []
    assert _row(house).status == "failed"
    assert "not public" in _row(house).last_error


async def test_a_receiver_that_cannot_be_reached_is_tried_again(house):
    await _finished_job(house, "http://hooks.example:1/")
    await _send(_sender(house))
    assert _row(house).status == "pending"
    assert "ConnectError" in _row(house).last_error


async def test_a_receiver_that_never_answers_is_cut_off(house, monkeypatch):
    async def silence(reader, writer):
        await reader.read()
        writer.close()

    monkeypatch.setattr(webhooks, "SEND_TIMEOUT_SECONDS", 0.1)
    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    await _finished_job(house, f"http://hooks.example:{server.sockets[0].getsockname()[1]}/")
    await _send(_sender(house))
    assert _row(house).status == "pending"
    server.close()
    await server.wait_closed()


async def test_a_sender_that_dies_leaves_the_webhook_to_another_after_a_while(house, receiver):
    await _finished_job(house, receiver.url)
    with house.database.write() as conn:
        assert len(deliveries.claim(conn, now=house.clock(), room=SendRoom([]))) == 1
        assert deliveries.claim(conn, now=house.clock(), room=SendRoom([])) == []
    assert await _send(_sender(house)) == 0
    house.clock.advance(seconds=60)
    assert await _send(_sender(house)) == 1
    assert _row(house).num_attempts == 2


async def test_a_webhook_that_cannot_be_described_does_not_stop_the_others_and_ends(house, receiver):
    async def describe(job):
        raise ZeroDivisionError

    await _finished_job(house, receiver.url)
    sender = _sender(house, describe=describe)
    for _ in range(20):
        await _send(sender)
        house.clock.advance(days=1)
    assert _row(house).status == "failed"


async def test_a_running_sender_sends_by_itself_and_stops(house, receiver):
    sender = _sender(house)
    sender.start()
    await _finished_job(house, receiver.url)
    async with asyncio.timeout(10):
        while not receiver.requests:
            await asyncio.sleep(0.02)
    await sender.stop()


async def test_a_job_tells_what_became_of_its_webhook(house, receiver):
    receiver.statuses = [500, 200]
    async with house.running() as service:
        house.engine.gate = asyncio.Event()
        job = await service.submit(house.submission(webhook_url=receiver.url))
        assert (await service.webhook_state(job)).status is DeliveryStatus.WAITING
        assert job.warnings == (
            "webhook_url: no address is known for 'hooks.example' now; the webhook is tried all the same.",
        )
        house.engine.gate.set()
        job = await service.wait(job.id, account_id="acme")
        assert (await service.webhook_state(job)).status is DeliveryStatus.PENDING
        await _send(_sender(house))
        state = await service.webhook_state(job)
        assert (state.status, state.num_attempts, state.last_error) == (DeliveryStatus.PENDING, 1, "status 500")
        assert state.next_attempt_at == house.clock.advance(seconds=5)
        await _send(_sender(house))
        state = await service.webhook_state(job)
        assert (state.status, state.next_attempt_at, state.last_error) == (DeliveryStatus.DELIVERED, None, None)
        without = await finished(service, house.submission())
        assert await service.webhook_state(without) is None


@pytest.fixture
async def silent_url():
    """A server that takes requests and never answers."""
    connections = []

    async def silence(reader, writer):
        connections.append(writer)
        await reader.read()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    yield f"http://hooks.example:{server.sockets[0].getsockname()[1]}/"
    for writer in connections:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_silent_receivers_delay_nobody_else_however_many_webhooks_they_have(house, receiver, silent_url):
    async with house.running() as service:
        for _ in range(40):
            await finished(service, house.submission(webhook_url=silent_url))
        await finished(service, house.submission(webhook_url=receiver.url))
        await finished(service, house.submission("umbrella", webhook_url=receiver.url))
    sender = _sender(house)
    assert await sender.send_due() == deliveries.MAX_SENDS_PER_RECEIVER + 2
    await until(lambda: len(receiver.requests) == 2)
    assert await sender.send_due() == 0
    await sender.stop()


async def test_webhooks_from_before_receivers_were_noted_count_each_by_itself(house, receiver, silent_url):
    async with house.running() as service:
        for _ in range(6):
            await finished(service, house.submission(webhook_url=silent_url))
        await finished(service, house.submission(webhook_url=receiver.url))
    with house.database.write() as conn:
        conn.execute(update(webhook_deliveries).values(receiver=""))
    sender = _sender(house)
    assert await sender.send_due() == 7
    await until(lambda: receiver.requests)
    await sender.stop()


async def test_one_account_leaves_room_for_the_others(house, receiver, silent_url, monkeypatch):
    monkeypatch.setattr(deliveries, "MAX_SENDS_PER_RECEIVER", 100)
    monkeypatch.setattr(deliveries, "MAX_SENDS_PER_ACCOUNT", 5)
    async with house.running() as service:
        for _ in range(12):
            await finished(service, house.submission(webhook_url=silent_url))
        await finished(service, house.submission("umbrella", webhook_url=receiver.url))
    sender = _sender(house)
    assert await sender.send_due() == 6
    await until(lambda: receiver.requests)
    assert await sender.send_due() == 0
    await sender.stop()


async def test_a_running_sender_does_not_wait_for_a_silent_receiver(house, receiver, silent_url):
    sender = _sender(house)
    sender.start()
    await _finished_job(house, silent_url)
    await until(lambda: sender.num_under_way == 1)
    await _finished_job(house, receiver.url)
    await until(lambda: receiver.requests)
    await sender.stop()


async def test_no_cookie_of_one_receiver_reaches_another(house, receiver):
    receiver.cookie = "a=b"
    sender = _sender(house)
    for _ in range(2):
        await _finished_job(house, receiver.url)
        await _send(sender)
    assert not any("cookie" in headers for headers, _ in receiver.requests)
