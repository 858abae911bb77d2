"""Clients of the trade, installed and run against a real server: `make clients`, which needs a network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.server import Server, serving

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).with_name("clients")
# Kept between runs: LiteLLM and what it needs are half a gigabyte.
PYTHON_FOLDER = ROOT / "build" / "clients-python"
NODE_FOLDER = ROOT / "build" / "clients-node"
PYTHON_PACKAGES = ("litellm", "langchain-community", "openai")
NODE_PACKAGES = ("ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible")
INSTALL_SECONDS = 400
CLIENT_SECONDS = 240

pytestmark = [
    pytest.mark.timeout(INSTALL_SECONDS + CLIENT_SECONDS + 60),
    pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="installs half a gigabyte: make clients"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose operator allows the names that some clients cannot change."""
    with serving(tmp_path_factory.mktemp("clients") / "data", DANQING_MODEL_ALIASES="gpt-image-1,dall-e-3") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python with the clients: what they need must not change ours."""
    program = PYTHON_FOLDER / "bin" / "python"
    complete = PYTHON_FOLDER / "complete"
    if not complete.exists():
        install([sys.executable, "-m", "venv", "--clear", PYTHON_FOLDER])
        install([program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON_PACKAGES])
        complete.touch()
    return program


@pytest.fixture(scope="module")
def node_folder() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("the Vercel AI SDK needs npm")
    complete = NODE_FOLDER / "complete"
    if not complete.exists():
        NODE_FOLDER.mkdir(parents=True, exist_ok=True)
        install(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", *NODE_PACKAGES], folder=NODE_FOLDER)
        complete.touch()
    return NODE_FOLDER


def install(command: list[str | Path], *, folder: Path = ROOT) -> None:
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} could not install the clients within {INSTALL_SECONDS} seconds")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{command[0]} could not install the clients: {error.stderr[-300:]}")


def run(server: Server, *command: str | Path, folder: Path = ROOT) -> None:
    environment = os.environ | {"DANQING_URL": server.url, "DANQING_API_KEY": server.key}
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "all as expected" in result.stdout


@pytest.mark.parametrize("script", ["litellm_images.py", "langchain_images.py"])
def test_python_clients_draw(server: Server, python: Path, script: str) -> None:
    run(server, python, SCRIPTS / script)


def test_the_vercel_ai_sdk_draws(server: Server, node_folder: Path) -> None:
    # An ES module finds its packages from where it lies.
    shutil.copy(SCRIPTS / "ai_sdk.mjs", node_folder)
    run(server, "node", "ai_sdk.mjs", folder=node_folder)
