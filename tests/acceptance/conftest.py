"""One server for the tests that leave it as it was; the others start their own."""

from collections.abc import Iterator

import pytest
from acceptance.server import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("acceptance") / "data") as server:
        server.wait_until_ready()
        yield server
