"""Where a webhook may go."""

import ipaddress
import socket

import pytest

from danqing.errors import InvalidRequest
from danqing.jobs.webhook_targets import ForbiddenTarget, is_public, require_webhook_url, resolve_public

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_known_as_such(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_known_as_such(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "https://user:pass@example.com",
        "https://example.com:99999",
        "http://localhost/hook",
        "http://127.0.0.1:8080",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/" + "x" * 2048,
        "http://exa\nmple.com",
    ],
)
def test_a_url_that_cannot_be_a_webhook_is_refused_by_name(url):
    with pytest.raises(InvalidRequest) as refusal:
        require_webhook_url(url)
    assert refusal.value.param == "webhook_url"


@pytest.mark.parametrize("url", ["https://example.com/hook?a=b", "http://example.com:8080", "https://8.8.8.8/"])
def test_an_ordinary_url_is_accepted(url):
    require_webhook_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1"])
async def test_whatever_way_a_private_host_is_written_it_is_refused_once_resolved(host):
    with pytest.raises(ForbiddenTarget):
        await resolve_public(host, 80)


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _answers("8.8.8.8", "10.0.0.1"))
    with pytest.raises(ForbiddenTarget, match=r"rebind\.example resolves to 10\.0\.0\.1"):
        await resolve_public("rebind.example", 443)


async def test_a_public_host_gives_its_first_address(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _answers("8.8.8.8", "8.8.4.4"))
    assert await resolve_public("dns.example", 443) == "8.8.8.8"


async def test_what_is_no_host_name_is_refused():
    with pytest.raises(ForbiddenTarget):
        await resolve_public("x" * 64 + ".example", 443)


def _answers(*addresses):
    def getaddrinfo(host, port, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo
