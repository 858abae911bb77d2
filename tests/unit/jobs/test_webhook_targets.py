"""Where a webhook may go."""

import ipaddress
import socket

import pytest

from danqing.errors import InvalidRequest
from danqing.jobs.webhook_targets import ForbiddenTarget, WebhookTargets, is_public, parse_target

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
    "fec0::1",
    "192.88.99.1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "64:ff9b:1::1",
    "100::1",
    "::7f00:1",
    "2001:db8::1",
    "2002:c058:6301::1",
    "64:ff9b::c0a8:101",
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
        "http://xn--a/",
        "http://xn--/",
        "http://xn--0.example/",
        "http://host%20name/",
        "http://LOCALHOST./",
        "http://[fec0::1]/",
        "http://[3fff::1]/",
        "http://192.88.99.7/",
        "http://[::ffff:10.0.0.1]/",
        "http://" + "a." * 127 + "example/",
    ],
)
def test_a_url_that_cannot_be_a_webhook_is_refused_by_name(url):
    with pytest.raises(InvalidRequest) as refusal:
        WebhookTargets().require_url(url)
    assert refusal.value.param == "webhook_url"


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://Example.com/hook?a=b", "example.com:443"),
        ("http://example.com:8080", "example.com:8080"),
        ("https://8.8.8.8/", "8.8.8.8:443"),
        ("http://[2001:4860:4860::8888]:81/", "2001:4860:4860::8888:81"),
        ("http://bücher.example", "xn--bcher-kva.example:80"),
    ],
)
def test_an_ordinary_url_is_accepted_and_its_receiver_known(url, receiver):
    assert WebhookTargets().require_url(url) == parse_target(url)
    assert parse_target(url).receiver == receiver


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1"])
async def test_whatever_way_a_private_host_is_written_it_is_refused_once_resolved(host):
    with pytest.raises(ForbiddenTarget):
        await WebhookTargets().resolve(host, 80)


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _answers("8.8.8.8", "10.0.0.1"))
    with pytest.raises(ForbiddenTarget, match=r"rebind\.example has an address that is not public"):
        await WebhookTargets().resolve("rebind.example", 443)
    with pytest.raises(InvalidRequest):
        await WebhookTargets().require_host("https://rebind.example")


async def test_a_public_host_gives_its_first_address(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _answers("8.8.8.8", "8.8.4.4"))
    assert await WebhookTargets().resolve("dns.example", 443) == "8.8.8.8"
    assert await WebhookTargets().require_host("https://dns.example") is None


async def test_what_is_no_host_name_is_refused():
    long = "x" * 64 + ".example"
    with pytest.raises(ForbiddenTarget):
        await WebhookTargets().resolve(long, 443)
    with pytest.raises(InvalidRequest):
        await WebhookTargets().require_host(f"http://{long}/")


@pytest.mark.parametrize(
    "failure", [socket.gaierror(socket.EAI_NONAME, "unknown"), socket.gaierror("again"), OSError()]
)
async def test_a_host_without_an_address_is_accepted_with_a_warning(monkeypatch, failure):
    def unknown(*args, **kwargs):
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    warning = await WebhookTargets().require_host("http://nowhere.example/")
    assert warning.startswith("webhook_url: no address is known for 'nowhere.example'")


async def test_webhooks_go_into_the_networks_that_the_operator_allows_and_no_others(monkeypatch):
    networks = [ipaddress.ip_network(network) for network in ("192.168.1.0/24", "127.0.0.0/8", "fd00::/8")]
    targets = WebhookTargets(allowed_networks=networks)
    for url in ("http://192.168.1.20:5678/", "http://localhost/", "http://[fd00::1]/", "http://[::ffff:192.168.1.1]/"):
        targets.require_url(url)
    for url in ("http://192.168.2.20/", "http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/"):
        with pytest.raises(InvalidRequest):
            targets.require_url(url)
    monkeypatch.setattr(socket, "getaddrinfo", _answers("192.168.1.20", "8.8.8.8"))
    assert await targets.resolve("n8n.lan", 5678) == "192.168.1.20"
    monkeypatch.setattr(socket, "getaddrinfo", _answers("192.168.1.20", "10.0.0.1"))
    with pytest.raises(ForbiddenTarget):
        await targets.resolve("n8n.lan", 5678)


def _answers(*addresses):
    def getaddrinfo(host, port, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo
