"""A server listens on every address of its host, or says in a sentence why it cannot."""

import errno
import socket
from collections.abc import Iterator

import pytest

from danqing.cli import listeners
from danqing.cli.listeners import listen
from danqing.errors import OperatorError, SettingError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _refuse(monkeypatch: pytest.MonkeyPatch, code: int, *, family: int | None = None) -> None:
    """Let the system refuse new listeners, of one family or of all."""
    real = socket.create_server

    def refuse(address: tuple[str, int], **options: object) -> socket.socket:
        if family in (None, options["family"]):
            raise OSError(code, "refused")
        return real(address, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_server", refuse)


def test_port_0_takes_a_free_one() -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        assert _answers("127.0.0.1", listener.getsockname()[1])


@pytest.mark.parametrize("host", ["::", "[::]", "localhost"])
def test_a_host_of_both_families_is_served_on_both(host: str) -> None:
    found = listen(host, 0)
    port = found[0].getsockname()[1]
    reached = [_answers(address, port) for address in ("127.0.0.1", "::1")]
    for listener in found:
        listener.close()
    # Where a name has one address alone, that one.
    num_families = 2 if host != "localhost" else len({entry[0] for entry in socket.getaddrinfo(host, port)})
    assert sum(reached) == num_families


def test_without_dual_stack_sockets_both_families_get_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    found = listen("::", 0)
    assert {listener.family for listener in found} == {socket.AF_INET, socket.AF_INET6}
    assert len({listener.getsockname()[1] for listener in found}) == 1
    for listener in found:
        listener.close()


def test_an_address_of_a_family_that_the_machine_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        listeners,
        "_addresses",
        lambda host, port: iter([(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]),
    )
    _refuse(monkeypatch, errno.EADDRNOTAVAIL, family=socket.AF_INET6)
    (listener,) = listen("localhost", 0)
    with listener:
        assert listener.family == socket.AF_INET


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70, "256.1.1.1"])
def test_a_name_without_an_address_is_a_wrong_setting(host: str) -> None:
    with pytest.raises(SettingError, match="no address is known for this name"):
        listen(host, 0)


def test_a_taken_port_is_named_and_nothing_stays_open(taken: int) -> None:
    with pytest.raises(OperatorError, match=f"127.0.0.1, port {taken}: another program does"):
        listen("127.0.0.1", taken)


@pytest.mark.parametrize(
    ("code", "port", "said"),
    [
        (errno.EACCES, 80, "may not take a port below 1024"),
        (errno.EADDRNOTAVAIL, 8000, "does not have that address"),
        (errno.EAFNOSUPPORT, 8000, "not supported"),
        (errno.EMFILE, 8000, "Too many open files"),
    ],
)
def test_each_refusal_of_the_system_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, code: int, port: int, said: str
) -> None:
    _refuse(monkeypatch, code)
    with pytest.raises(OperatorError, match=said):
        listen("127.0.0.1", port)


def test_an_answer_in_two_pieces_does_not_wait_for_the_first_to_be_confirmed() -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
