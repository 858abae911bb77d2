"""Every file of examples/ does what it says, as a process of its own, against a real server."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from acceptance.server import Server, eventually, serving
from PIL import Image

from danqing.jobs.webhooks import sign

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
# Kept between runs: git ignores it.
NODE_FOLDER = ROOT / "build" / "examples"
INSTALL_SECONDS = 60
EXAMPLE_SECONDS = 120

# The hosted platform's own text: whoever changes a letter of these files no longer tests moving over.
DOCUMENTED = {
    "documented.py": "89dc209e6925f31e4012ab10d1a3b708a7ead8da2db65ff7567318ec8c33c82e",
    "documented.js": "666bf9703fe5bff47636bf0a227beb89c488b927d3f7ad08baf7098be12c0322",
}

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="the JavaScript examples need node")


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("examples") / "data"
    environment = {"DANQING_MODEL": str(tiny_checkpoint), "DANQING_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with serving(data_dir, **environment) as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="module")
def node_folder() -> Path:
    """A folder in which `import 'openai'` works."""
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    manifest = (EXAMPLES / "package.json").read_bytes()
    installed = NODE_FOLDER / "package.json"
    if not (NODE_FOLDER / "node_modules" / "openai").is_dir() or installed.read_bytes() != manifest:
        if shutil.which("npm") is None:
            pytest.skip("the JavaScript SDK example needs npm")
        installed.write_bytes(manifest)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        try:
            result = subprocess.run(
                command, cwd=NODE_FOLDER, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm could not install openai within {INSTALL_SECONDS} seconds")
        if result.returncode:
            pytest.skip(f"npm could not install openai: {result.stderr[-200:]}")
    return NODE_FOLDER


def _environment(server: Server) -> dict[str, str]:
    return os.environ | {"DANQING_URL": server.url, "DANQING_API_KEY": server.key}


def _run(server: Server, *command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=_environment(server),
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=False,
    )


def _size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.format == "PNG"
        return picture.size


def test_the_readme_lists_every_example() -> None:
    listed = set(re.findall(r"`(\w+\.(?:py|js|mjs))`", (EXAMPLES / "README.md").read_text()))
    assert listed == {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".js", ".mjs")}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_documented_examples_are_the_hosted_platforms_to_the_letter(name: str) -> None:
    assert hashlib.sha256((EXAMPLES / name).read_bytes()).hexdigest() == DOCUMENTED[name]


@pytest.mark.parametrize(
    ("name", "program"), [("documented.py", sys.executable), pytest.param("documented.js", "node", marks=needs_node)]
)
def test_the_documented_examples_work_with_only_address_and_key_changed(
    quick_server: Server, tmp_path: Path, name: str, program: str
) -> None:
    text = (EXAMPLES / name).read_text()
    changed = text.replace("https://api.aimlapi.com", quick_server.url).replace("<YOUR_AIMLAPI_KEY>", quick_server.key)
    different = [line for line, before in zip(changed.splitlines(), text.splitlines(), strict=True) if line != before]
    assert len(different) == 3  # The address, the key, and the comment that names the key.
    script = tmp_path / name
    script.write_text(changed)
    result = _run(quick_server, program, script, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    (url,) = re.findall(r"http://\S+\.png", result.stdout)
    assert _size(quick_server.fetch(url)) == (1280, 768)
    assert "210000" in result.stdout


def _expect_sdk_example(server: Server, result: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert result.returncode == 0, result.stderr
    link, *written, refused = result.stdout.splitlines()
    assert _size(server.fetch(link.removeprefix("link: "))) == (1280, 768)
    assert written == ["wrote: preview-1.png", "wrote: preview-2.png", "wrote: picture.png"]
    first, second, whole = (folder / line.removeprefix("wrote: ") for line in written)
    assert _size(whole.read_bytes()) == (1024, 1024)
    _size(first.read_bytes())
    assert first.read_bytes() != second.read_bytes()
    assert refused == "refused: 400 invalid_payload n"


def test_the_openai_sdk_in_python(quick_server: Server, tmp_path: Path) -> None:
    result = _run(quick_server, sys.executable, EXAMPLES / "openai_sdk.py", folder=tmp_path)
    _expect_sdk_example(quick_server, result, tmp_path)


@needs_node
def test_the_rest_of_the_openai_sdk_in_javascript(quick_server: Server, node_folder: Path) -> None:
    shutil.copy(Path(__file__).with_name("openai_sdk.mjs"), node_folder / "rest.mjs")
    management = quick_server.run("keys", "create", "--name", "sdk", "--management").stdout.strip()
    environment = _environment(quick_server) | {"DANQING_MANAGEMENT_KEY": management}
    result = subprocess.run(
        ["node", "rest.mjs"],
        cwd=node_folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "all as expected" in result.stdout


@needs_node
def test_the_openai_sdk_in_javascript(quick_server: Server, node_folder: Path) -> None:
    # An ES module finds its packages from where it lies.
    shutil.copy(EXAMPLES / "openai_sdk.mjs", node_folder)
    result = _run(quick_server, "node", "openai_sdk.mjs", folder=node_folder)
    _expect_sdk_example(quick_server, result, node_folder)


def test_a_batch_of_prompts_draws_each_once_and_goes_on_where_it_was_interrupted(
    quick_server: Server, tmp_path: Path
) -> None:
    prompts = [f"{number} red cars." for number in range(6)]
    (tmp_path / "prompts.txt").write_text("\n".join([*prompts, "", prompts[0]]))
    before = quick_server.balance()
    command = (sys.executable, EXAMPLES / "batch.py", "prompts.txt", "--into", "out", "--at-once", "3")
    result = _run(quick_server, *command, folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "6/6" in result.stdout
    pictures = sorted((tmp_path / "out").iterdir())
    assert [_size(picture.read_bytes()) for picture in pictures] == [(1024, 1024)] * 6
    assert quick_server.balance() == before - 6 * 210_000
    kept = pictures[1].read_bytes()
    pictures[0].unlink()
    assert _run(quick_server, *command, folder=tmp_path).returncode == 0
    assert sorted((tmp_path / "out").iterdir()) == pictures
    assert pictures[1].read_bytes() == kept
    # The missing one was fetched again, not drawn again.
    assert quick_server.balance() == before - 6 * 210_000


def test_a_batch_says_which_prompt_was_refused_and_draws_the_others(quick_server: Server, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("A brown dog.\n" + "x" * 4001)
    result = _run(quick_server, sys.executable, EXAMPLES / "batch.py", "prompts.txt", folder=tmp_path)
    assert result.returncode == 1
    assert "prompt: String must contain at most 4000 character(s)" in result.stdout, result.stdout
    assert len(list((tmp_path / "pictures").iterdir())) == 1


@contextmanager
def _receiving(secret: str, log: Path) -> Iterator[int]:
    """Run the webhook receiver; give its port."""
    command = [sys.executable, EXAMPLES / "webhook_receiver.py", "--port", "0"]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env=os.environ | {"DANQING_WEBHOOK_SECRET": secret}, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        listening = eventually(lambda: re.search(r"listening: (\d+)", log.read_text()), limit_seconds=30)
        yield int(listening[1])
    finally:
        process.kill()
        process.wait()


def _secret(server: Server) -> str:
    result = server.run("accounts", "webhook-secret")
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_webhook_receiver_is_told_when_a_picture_is_done(quick_server: Server, tmp_path: Path) -> None:
    log = tmp_path / "receiver.log"
    with _receiving(_secret(quick_server), log) as port:
        url = f"http://127.0.0.1:{port}/"
        answer = quick_server.post(webhook_url=url, num_inference_steps=2)
        eventually(lambda: "drawn:" in log.read_text(), limit_seconds=30)
        job = f"/v1/images/generations/{answer.headers['x-inference-id']}"
        eventually(lambda: quick_server.get(job).json()["webhook"]["status"] == "delivered", limit_seconds=30)
    _, line = log.read_text().splitlines()
    assert line.split() == ["drawn:", answer.headers["x-inference-id"], answer.json()["data"][0]["url"]]


def test_the_webhook_receiver_believes_nobody_else(quick_server: Server, tmp_path: Path) -> None:
    secret, log, now = _secret(quick_server), tmp_path / "receiver.log", int(time.time())
    body = b'{"type":"image.generation.completed","data":{"id":"x","data":[]}}'

    def status(*, signed: bytes = body, secret: str = secret, signed_at: int = now, sent_at: int = now) -> int:
        headers = {
            "webhook-id": "msg_x",
            "webhook-timestamp": str(sent_at),
            "webhook-signature": sign(secret, message_id="msg_x", timestamp=signed_at, body=signed),
        }
        return requests.post(f"http://127.0.0.1:{port}/", data=body, headers=headers, timeout=30).status_code

    with _receiving(secret, log) as port:
        assert status(secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") == 401
        assert status(signed=b"{}") == 401
        assert status(sent_at=now + 1) == 401
        long_ago = now - 301
        assert status(signed_at=long_ago, sent_at=long_ago) == 401
        assert requests.post(f"http://127.0.0.1:{port}/", data=body, timeout=30).status_code == 401
        assert "drawn:" not in log.read_text()
        assert status() == 200
        assert status() == 200
        # Sent twice, told once.
        assert log.read_text().count("drawn: x") == 1
