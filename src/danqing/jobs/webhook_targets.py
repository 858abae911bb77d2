"""Where a webhook may go: to public addresses only, judged after the name is resolved. Sends nothing itself."""

import asyncio
import ipaddress
import socket

import httpx

from danqing.errors import InvalidRequest

MAX_URL_LENGTH = 2048
RESOLVE_TIMEOUT_SECONDS = 5.0
# Translates IPv4 addresses into IPv6; what counts is the address inside.
NAT64 = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenTarget(Exception):
    """The webhook's host is not a public one."""


def require_webhook_url(url: str) -> None:
    """Raise InvalidRequest unless the URL could be a webhook's; its name is resolved only when something is sent."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise InvalidRequest("webhook_url: not a URL", param="webhook_url") from None
    if len(url) > MAX_URL_LENGTH or parsed.scheme not in ("http", "https") or not parsed.host:
        message = f"webhook_url: an http or https URL of at most {MAX_URL_LENGTH} characters"
        raise InvalidRequest(message, param="webhook_url")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise InvalidRequest("webhook_url: port 1 to 65535", param="webhook_url")
    if parsed.userinfo:
        raise InvalidRequest("webhook_url: must not contain a user name or password", param="webhook_url")
    literal = _literal_address(parsed.host)
    if parsed.host == "localhost" or (literal is not None and not is_public(literal)):
        raise InvalidRequest("webhook_url: must not point to a private or local address", param="webhook_url")


async def resolve_public(host: str, port: int) -> str:
    """Give one address of the host. Raises ForbiddenTarget if any of them is not public, OSError if there is none."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise ForbiddenTarget(f"{host} is not a host name") from None
    # An IPv6 address may carry the name of a network interface after a percent sign.
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    for address in addresses:
        if not is_public(ipaddress.ip_address(address)):
            raise ForbiddenTarget(f"{host} resolves to {address}, which is not public")
    return addresses[0]


def is_public(address: IpAddress) -> bool:
    """Whether an address is reachable from anywhere, also seen through the ways to write IPv4 as IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _literal_address(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
