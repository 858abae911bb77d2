"""Webhook targets: which URLs and addresses a webhook may go to.

Public addresses, judged after the name is resolved, and the networks that the operator allows.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

import httpx

from danqing.errors import InvalidRequest
from danqing.jobs.host_lookups import HostLookups

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 253
# For sending, and apart from that for the URLs of new jobs.
MAX_LOOKUPS = 128

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Translates IPv4 addresses into IPv6; what counts is the address inside.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that IPv6 routes between networks; every other block is reserved or for inner use.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Blocks that Python's own list takes for public: relays from IPv4 to IPv6, and documentation.
NOT_PUBLIC = (ipaddress.ip_network("192.88.99.0/24"), ipaddress.ip_network("3fff::/20"))


class ForbiddenTarget(Exception):
    """The webhook's host has an address that webhooks may not go to."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The parts of a webhook URL that a connection needs; `host` is in ASCII."""

    scheme: str
    host: str
    port: int

    @property
    def receiver(self) -> str:
        """The name under which webhooks to one server are counted together."""
        return f"{self.host.lower()}:{self.port}"


class WebhookTargets:
    """Judges the URLs of webhooks when a job is submitted, and their addresses when one is sent."""

    def __init__(self, *, allowed_networks: Collection[IpNetwork] = ()) -> None:
        """Besides public addresses, allow those of `allowed_networks`."""
        self._allowed_networks = tuple(allowed_networks)
        self._sending = HostLookups(max_lookups=MAX_LOOKUPS)
        self._accepting = HostLookups(max_lookups=MAX_LOOKUPS)

    def require_url(self, url: str) -> Target:
        """Return the target of a URL. Raises InvalidRequest unless it could be a webhook's; looks nothing up."""
        target = parse_target(url)
        literal = _literal_address(target.host)
        if literal is not None and not self.allows(literal):
            raise _refusal("must not point to a private or local address")
        return target

    async def require_host(self, url: str) -> str | None:
        """Look up the host of a job's webhook; return a warning if it has no address now.

        Raises InvalidRequest for a host that webhooks may not go to. It is looked up anew when the webhook is sent.
        """
        host = self.require_url(url).host
        try:
            addresses = await self._accepting.addresses(host)
        except UnicodeError:
            raise _refusal(f"{host!r} is not a host name") from None
        except OSError:
            return f"webhook_url: no address is known for {host!r} now; the webhook is tried all the same."
        if not all(self.allows(ipaddress.ip_address(address)) for address in addresses):
            raise _refusal("must not point to a private or local address")
        return None

    async def resolve(self, host: str, _port: int) -> str:
        """Return one address of the host. Raises ForbiddenTarget if webhooks may not go to all of them, or OSError."""
        try:
            addresses = await self._sending.addresses(host)
        except UnicodeError:
            raise ForbiddenTarget(f"{host} is not a host name") from None
        for address in addresses:
            if not self.allows(ipaddress.ip_address(address)):
                # Not which: that would tell strangers about our network.
                raise ForbiddenTarget(f"{host} has an address that is not public")
        return addresses[0]

    async def settled(self, host: str) -> None:
        """Wait until nothing looks up the host any more."""
        await self._sending.settled(host)

    def allows(self, address: IpAddress) -> bool:
        """Say whether webhooks may go to an address."""
        inner = _inner_address(address)
        for candidate in (address, inner):
            if candidate is not None and any(candidate in network for network in self._allowed_networks):
                return True
        return is_public(address)


def parse_target(url: str) -> Target:
    """Take a webhook URL apart. Raises InvalidRequest."""
    try:
        parsed = httpx.URL(url)
        host, scheme, port = parsed.host, parsed.scheme, parsed.port
    except (httpx.InvalidURL, UnicodeError):
        raise _refusal("not a URL") from None
    if len(url) > MAX_URL_LENGTH or scheme not in ("http", "https") or not host:
        raise _refusal(f"an http or https URL of at most {MAX_URL_LENGTH} characters")
    if len(parsed.raw_host) > MAX_HOST_LENGTH or ("%" in host and ":" not in host):
        raise _refusal(f"{host[:MAX_HOST_LENGTH]!r} is not a host name")
    if port is not None and not 0 < port < 2**16:
        raise _refusal("port 1 to 65535")
    if parsed.userinfo:
        raise _refusal("must not contain a user name or password")
    return Target(scheme=scheme, host=parsed.raw_host.decode("ascii"), port=port or (443 if scheme == "https" else 80))


def is_public(address: IpAddress) -> bool:
    """Whether an address is reachable from anywhere, also seen through the ways to write IPv4 as IPv6."""
    inner = _inner_address(address)
    if inner is not None:
        return is_public(inner)
    if any(address in network for network in NOT_PUBLIC):
        return False
    if isinstance(address, ipaddress.IPv6Address) and (address not in GLOBAL_UNICAST or address.teredo is not None):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner_address(address: IpAddress) -> ipaddress.IPv4Address | None:
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _literal_address(host: str) -> IpAddress | None:
    if host.lower().rstrip(".") == "localhost":
        return ipaddress.ip_address("127.0.0.1")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _refusal(reason: str) -> InvalidRequest:
    return InvalidRequest(f"webhook_url: {reason}", param="webhook_url")
