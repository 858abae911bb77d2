"""One command, and then the documented example works with only its address and its key changed."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from acceptance.server import CHECKPOINT, Server
from PIL import Image

from proofs.newcomer import printed_curl

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "documented.py"


def test_the_first_start_shows_where_it_is_and_how_to_use_it(server: Server) -> None:
    assert server.url in server.printed
    assert re.fullmatch(r"[0-9a-f]{32}", server.key)
    assert CHECKPOINT.name in server.printed


def test_the_documented_example_works_with_only_address_and_key_changed(server: Server, tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert text.count("https://api.aimlapi.com/") == 1
    assert text.count("Bearer <YOUR_AIMLAPI_KEY>") == 1
    text = text.replace("https://api.aimlapi.com/", f"{server.url}/")
    text = text.replace("Bearer <YOUR_AIMLAPI_KEY>", f"Bearer {server.key}")
    script = tmp_path / "example.py"
    script.write_text(text)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["meta"]["usage"]["credits_used"] == 210_000
    (image,) = answer["data"]
    with Image.open(io.BytesIO(server.fetch(image["url"]))) as picture:
        assert picture.size == (1280, 768)
        assert picture.format == "PNG"
        # Drawn, not a flat placeholder.
        assert len(picture.convert("RGB").resize((64, 64)).getcolors(64 * 64) or []) > 100


@pytest.mark.skipif(shutil.which("curl") is None, reason="the shown command needs curl")
def test_the_shown_curl_can_be_pasted(server: Server) -> None:
    command = printed_curl(server.printed)
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    assert len(server.fetch(json.loads(result.stdout)["data"][0]["url"])) > 1000


def test_the_readme_shows_the_command_that_is_printed(server: Server) -> None:
    printed = printed_curl(server.printed).replace(server.url, "http://127.0.0.1:8000")
    assert printed.replace(server.key, "<the key that was printed>") in (ROOT / "README.md").read_text()


def test_the_answer_says_which_checkpoint_drew_it(server: Server) -> None:
    engine = server.post(num_inference_steps=1).json()["meta"]["engine"]
    assert engine.startswith(f"{CHECKPOINT.name} (")
    assert engine == server.get("/readyz").json()["engine"]


def test_a_key_made_on_the_command_line_works_at_once_and_until_it_is_revoked(server: Server) -> None:
    secret = server.run("keys", "create", "--name", "second").stdout.strip()
    headers = {"Authorization": f"Bearer {secret}"}
    assert server.post(headers=headers, num_inference_steps=1).status_code == 200
    assert server.run("keys", "revoke", secret[:8]).returncode == 0
    assert server.post(headers=headers, num_inference_steps=1).status_code == 401
