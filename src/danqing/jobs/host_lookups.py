"""Lookups of host names in threads of their own, so that a slow name server delays nothing else.

The system's own resolver is asked: it knows /etc/hosts, container names and whatever else the operator has set up.
"""

import asyncio
import socket
import threading

LOOKUP_TIMEOUT_SECONDS = 5.0


class HostLookups:
    """Looks up names, a bounded number at once and each name once at a time. For one event loop."""

    def __init__(self, *, max_lookups: int) -> None:
        self._max_lookups = max_lookups
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host. Raises OSError, TimeoutError, or UnicodeError for what is no host name."""
        lookup = self._running.get(host)
        if lookup is None:
            if len(self._running) >= self._max_lookups:
                raise TimeoutError(f"{self._max_lookups} lookups are running")
            lookup = self._begin(host)
        async with asyncio.timeout(LOOKUP_TIMEOUT_SECONDS):
            return await asyncio.shield(lookup)

    async def settled(self, host: str) -> None:
        """Wait until the lookup of a host is over: the resolver may take longer than its callers wait."""
        lookup = self._running.get(host)
        if lookup is not None:
            await asyncio.wait([lookup])

    def _begin(self, host: str) -> "asyncio.Future[list[str]]":
        loop = asyncio.get_running_loop()
        lookup: asyncio.Future[list[str]] = loop.create_future()
        self._running[host] = lookup

        def end(result: list[str] | Exception) -> None:
            del self._running[host]
            if lookup.cancelled():
                return
            if isinstance(result, Exception):
                lookup.set_exception(result)
                lookup.exception()  # Retrieved: its caller may have left.
            else:
                lookup.set_result(result)

        def look_up() -> None:
            result = _look_up(host)
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, result)

        # A daemon: nothing can end the resolver, and the process must not wait for it at its own end.
        threading.Thread(target=look_up, name=f"lookup-{host}", daemon=True).start()
        return lookup


def _look_up(host: str) -> list[str] | Exception:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    # An IPv6 address may carry the name of a network interface after a percent sign.
    return [str(entry[4][0]).partition("%")[0] for entry in found]
