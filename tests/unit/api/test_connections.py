"""Connections within limits: half a head, half a body, unread responses, and too many of them."""

import asyncio
import json
import logging
import resource
import socket
import time
from contextlib import suppress

import httpx
import pytest
from unit.api.calls import PATH
from unit.api.conftest import serve

from danqing.api import connections
from danqing.api.connections import FewAcceptErrors, fit_to_open_files

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-a: "
SHORT_SECONDS = 0.3
# Longer than any wait below lasts; a limit that does not work ends here.
PATIENCE_SECONDS = 20


@pytest.fixture
def max_connections():
    return 100


@pytest.fixture
async def address(app, max_connections):
    async with serve(app, max_connections=max_connections) as url:
        yield httpx.URL(url).host, httpx.URL(url).port


@pytest.fixture
async def connect(address):
    """Opens connections, and closes them after the test."""
    writers = []

    async def open_one():
        reader, writer = await asyncio.open_connection(*address)
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
def short_limits(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(connections, "UNREAD_SECONDS", SHORT_SECONDS)


async def whole_response(reader):
    return await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)


@pytest.mark.usefixtures("short_limits")
async def test_a_head_that_does_not_end_is_not_waited_for_although_bytes_arrive(connect):
    reader, writer = await connect()
    writer.write(HALF_A_HEAD)
    began = time.monotonic()
    ending = asyncio.create_task(whole_response(reader))
    while not ending.done() and time.monotonic() - began < PATIENCE_SECONDS:
        writer.write(b"b")
        await asyncio.sleep(SHORT_SECONDS / 5)
    assert ending.done()
    assert isinstance(ending.exception(), ConnectionError) or ending.result() == b""


@pytest.mark.usefixtures("short_limits")
async def test_a_body_that_trickles_in_after_its_response_is_not_waited_for(connect):
    reader, writer = await connect()
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode())
    assert b" 401 " in await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)
    ending = asyncio.create_task(whole_response(reader))
    began = time.monotonic()
    while not ending.done() and time.monotonic() - began < PATIENCE_SECONDS:
        writer.write(b" ")
        await asyncio.sleep(SHORT_SECONDS / 5)
    assert ending.done()
    ending.exception()


@pytest.mark.parametrize("max_connections", [8])
async def test_above_the_limit_the_connection_that_waited_longest_is_closed_and_health_checks_go_on(
    connect, address, caplog
):
    silent = [await connect() for _ in range(30)]
    for _, writer in silent:
        writer.write(HALF_A_HEAD)
    async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
        for _ in range(5):
            assert (await client.get("/healthz", headers={"Connection": "close"})).status_code == 200
    closed = 0
    for reader, _ in silent:
        try:
            closed += await asyncio.wait_for(reader.read(), SHORT_SECONDS) == b""
        except TimeoutError:
            pass
        except ConnectionError:
            closed += 1
    assert closed >= 30 - 8
    assert caplog.text.count("too many connections") == 1


@pytest.mark.usefixtures("short_limits")
async def test_a_response_that_nobody_reads_is_given_up(address, client, body, caplog):
    large = body(image_size={"width": 2048, "height": 2048}, num_images=4, sync_mode=True, num_inference_steps=1)
    job_id = (await client.post(PATH, json=large, headers={"Prefer": "respond-async"})).json()["id"]
    await client.get(f"{PATH}/{job_id}/events")
    # Grey images compress well: as many responses on one connection as no buffer takes.
    request = f"GET {PATH}/{job_id} HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['Authorization']}\r\n\r\n"
    with socket.socket() as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.setblocking(False)
        await asyncio.get_running_loop().sock_connect(unread, address)
        await asyncio.get_running_loop().sock_sendall(unread, request.encode() * 200)
        began = time.monotonic()
        while "nothing read" not in caplog.text and time.monotonic() - began < PATIENCE_SECONDS:
            await asyncio.sleep(0.05)
    assert "nothing read" in caplog.text


async def test_a_chunk_that_breaks_is_one_warning_and_a_400(connect, key, caplog):
    reader, writer = await connect()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode() + b'5\r\n{"mod\r\nnot a length\r\n')
    head, _, content = (await whole_response(reader)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(content)["error"]["code"] == "invalid_payload"
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(record.levelno, record.exc_info) for record in warnings] == [(logging.WARNING, None)]


async def test_a_body_with_two_lengths_is_refused_and_what_follows_is_no_request(connect):
    reader, writer = await connect()
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    lengths = f"Content-Length: {5 + len(hidden)}\r\nTransfer-Encoding: chunked\r\n"
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{lengths}\r\n0\r\n\r\n".encode() + hidden)
    response = await whole_response(reader)
    assert response.startswith(b"HTTP/1.1 400 ")
    assert response.count(b"HTTP/1.1 ") == 1
    assert b"exclude each other" in response


async def test_bytes_that_are_no_http_get_the_error_body(connect):
    for content in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"HELO mail.example\r\n\r\n"):
        reader, writer = await connect()
        writer.write(content)
        head, _, content = (await whole_response(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"nosniff" in head
        assert json.loads(content)["error"]["code"] == "invalid_payload"


async def test_a_client_that_offers_another_protocol_is_served_without_a_word(address, caplog):
    async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
        headers = {"Connection": "Upgrade", "Upgrade": "h2c"}
        assert (await client.get("/healthz", headers=headers)).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "fitting", "raised"),
    [
        (1_024, 1_048_576, 4_096, 4_096, 4_608),
        (1_024, 2_048, 4_096, 1_536, 2_048),
        (8_192, 8_192, 4_096, 4_096, None),
        (64, 64, 4_096, 32, 64),
        (1_024, resource.RLIM_INFINITY, 4_096, 4_096, 4_608),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4_096, 4_096, None),
    ],
)
def test_the_limit_of_open_files_is_raised_or_there_are_fewer_connections(
    monkeypatch, soft, hard, wanted, fitting, raised
):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    assert fit_to_open_files(wanted) == fitting
    assert limits == ([] if raised is None else [(raised, hard)])


def test_connections_that_cannot_be_accepted_are_logged_once_a_minute():
    seconds = [0.0]
    few = FewAcceptErrors(monotonic=lambda: seconds[0])

    def passes(message):
        return few.filter(logging.makeLogRecord({"msg": message}))

    assert passes("socket.accept() out of system resource")
    assert not any(passes("socket.accept() out of system resource") for _ in range(1000))
    assert passes("Task was destroyed but it is pending!")
    seconds[0] = 61.0
    assert passes("socket.accept() out of system resource")


async def test_the_kernel_holds_little_of_a_response_that_nobody_reads(connect, monkeypatch):
    num_bytes = []
    add = connections.Connections.add

    def measure(all_of_them, connection):
        accepted = connection.transport.get_extra_info("socket")
        num_bytes.append(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        add(all_of_them, connection)

    monkeypatch.setattr(connections.Connections, "add", measure)
    reader, writer = await connect()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await whole_response(reader)).startswith(b"HTTP/1.1 200")
    assert num_bytes == [pytest.approx(2 * connections.SEND_BUFFER_BYTES, rel=0.5)]
