"""Listening sockets: one for each address that a host name stands for, on one port, or a sentence that says why not."""

import errno
import os
import socket
from collections.abc import Iterator

from danqing.errors import OperatorError, SettingError

LISTEN_BACKLOG = 2048
ANY_IPV6 = "::"
FIRST_UNPRIVILEGED_PORT = 1024
# An address of a family that this machine does not have; its other addresses will do.
MISSING_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of the host, `::` for both families; port 0 is one free port for all of them.

    Raises OperatorError where an address is taken or not ours.
    """
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in _addresses(host.strip("[]"), port):
            # The first one found the port.
            free = listeners[0].getsockname()[1] if listeners else port
            try:
                listeners.append(_listener(family, (address[0], free, *address[2:])))
            except OSError as error:
                if error.errno not in MISSING_FAMILY:
                    raise
                missing = error
        if not listeners and missing is not None:
            raise missing
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise OperatorError(_reason(error, host, port)) from error
    return listeners


def _addresses(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # UnicodeError: what cannot be a host name at all.
    except (socket.gaierror, UnicodeError):
        raise SettingError(
            f"cannot listen on {host}: no address is known for this name; --host or DANQING_HOST takes an address of "
            "this machine, such as 127.0.0.1, or 0.0.0.0 or :: for all of them"
        ) from None
    yield from dict.fromkeys((family, address) for family, _, _, _, address in found)
    if host == ANY_IPV6 and not socket.has_dualstack_ipv6():
        yield socket.AF_INET, ("0.0.0.0", port)


def _listener(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    both_families = family == socket.AF_INET6 and address[0] == ANY_IPV6 and socket.has_dualstack_ipv6()
    listener = socket.create_server(
        address,
        family=family,
        backlog=LISTEN_BACKLOG,
        dualstack_ipv6=both_families,
    )
    # Connections inherit it. Without it the body of a response, sent after its head, waits 40 ms for the client to
    # confirm the head; asyncio sees to that only for listeners that it made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _reason(error: OSError, host: str, port: int) -> str:
    told = f"cannot listen on {host}, port {port}: "
    if error.errno == errno.EADDRINUSE:
        return f"{told}another program does; end it, or choose another port with --port or DANQING_PORT"
    if error.errno == errno.EACCES and port < FIRST_UNPRIVILEGED_PORT:
        return f"{told}this user may not take a port below {FIRST_UNPRIVILEGED_PORT}; choose a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{told}this machine does not have that address; --host 0.0.0.0 listens on all that it has"
    return told + os.strerror(error.errno or 0)
