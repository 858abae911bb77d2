"""Lookups of names: slow ones delay nothing else."""

import asyncio
import socket
import threading

import pytest

from danqing.jobs import host_lookups
from danqing.jobs.host_lookups import HostLookups


@pytest.fixture
def resolver(monkeypatch):
    """A resolver whose answer for "slow" names waits for `answer`."""

    class Resolver:
        def __init__(self):
            self.answer, self.asked = threading.Event(), []

        def getaddrinfo(self, host, port, **kwargs):
            self.asked.append(host)
            if host.startswith("slow"):
                self.answer.wait(60)
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 0, 0, 0))]

    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.answer.set()


async def test_an_address_comes_without_the_name_of_its_interface(resolver):
    assert await HostLookups(max_lookups=1).addresses("fast") == ["fe80::1"]


async def test_slow_names_delay_neither_other_names_nor_other_work(resolver, monkeypatch):
    monkeypatch.setattr(host_lookups, "LOOKUP_TIMEOUT_SECONDS", 30)
    lookups = HostLookups(max_lookups=60)
    slow = [asyncio.create_task(lookups.addresses(f"slow{index}")) for index in range(50)]
    await asyncio.sleep(0)
    assert await lookups.addresses("fast") == ["fe80::1"]
    # The threads of everything else are free.
    assert await asyncio.to_thread(lambda: "read") == "read"
    resolver.answer.set()
    assert await asyncio.gather(*slow) == [["fe80::1"]] * 50


async def test_a_lookup_that_takes_too_long_is_given_up_and_the_next_joins_it(resolver, monkeypatch):
    monkeypatch.setattr(host_lookups, "LOOKUP_TIMEOUT_SECONDS", 0.01)
    lookups = HostLookups(max_lookups=1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await lookups.addresses("slow")
    assert resolver.asked == ["slow"]
    with pytest.raises(TimeoutError, match="1 lookups are running"):
        await lookups.addresses("fast")
    resolver.answer.set()
    await lookups.settled("slow")
    monkeypatch.setattr(host_lookups, "LOOKUP_TIMEOUT_SECONDS", 30)
    assert await lookups.addresses("fast") == ["fe80::1"]


async def test_an_unknown_name_raises_what_the_resolver_says(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror):
        await HostLookups(max_lookups=1).addresses("nowhere")
