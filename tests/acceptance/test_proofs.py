"""Short versions of proofs/: killed under load, fuzzed, used by many. `make crash fuzz load` runs them in full."""

import sys
from pathlib import Path

import pytest
from acceptance.server import serving

from proofs import crash, fuzz, idempotency, load


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_server_killed_under_load_loses_and_charges_nothing(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("empty_postgresql_url") if kind == "postgresql" else None
    figures = crash.kill_again_and_again(tmp_path, database_url=url, num_kills=2)
    assert figures["completed"]
    assert figures["connections cut"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_key_sent_to_two_servers_at_once_is_charged_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("empty_postgresql_url") if kind == "postgresql" else None
    answers = idempotency.prove(tmp_path, database_url=url, num_keys=3, num_parallel=12)
    assert answers["202"] >= 3


def test_no_random_request_is_a_500_or_breaks_the_schema(tmp_path: Path) -> None:
    with serving(tmp_path / "data", command=(sys.executable, fuzz.LAUNCHER, "inside"), **fuzz.ENVIRONMENT) as server:
        server.wait_until_ready()
        options = ("--phases", "fuzzing")
        num_requests, _ = fuzz.fuzz(server, key=server.key, max_examples=3, seed=7, folder=tmp_path, options=options)
        assert num_requests > 20


def test_two_hundred_clients_at_once_all_get_their_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    load.many_clients(1)
    assert "200 pictures, none lost" in capsys.readouterr().out


def test_after_a_hang_up_the_engine_is_free_for_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    load.hang_ups(2)
    assert "hangs up" in capsys.readouterr().out
