"""One server draws for another: the same files, and clear errors without a charge when the one behind fails.

The tests share two servers, and the last one ends the server behind.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from acceptance.server import MODEL_ID, Server, eventually, serving

BODY: dict[str, Any] = {"num_inference_steps": 4, "size": "256x256", "seed": 7}
LONG: dict[str, Any] = {"num_inference_steps": 50, "size": "1024x1024", "seed": 7, "num_images": 4}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[Server]:
    """The server that draws."""
    settings = {"DANQING_MODEL": str(tiny_checkpoint), "DANQING_IMAGE_CHECK": "none"}
    with serving(tmp_path_factory.mktemp("upstream") / "behind", **settings) as behind:
        behind.wait_until_ready()
        yield behind


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, behind: Server) -> Iterator[Server]:
    """The server that clients call."""
    settings = {"DANQING_ENGINE": "upstream", "DANQING_UPSTREAM_URL": f"{behind.url}/v1"}
    settings |= {"DANQING_UPSTREAM_API_KEY": behind.key, "DANQING_IMAGE_CHECK": "none"}
    with serving(tmp_path_factory.mktemp("upstream") / "front", **settings) as front:
        front.wait_until_ready()
        yield front


@pytest.fixture(scope="module")
def management_key(behind: Server) -> str:
    """A key that may ask the server behind for its state."""
    return behind.run("keys", "create", "--name", "watch", "--management").stdout.strip()


def wait_until_one_runs(server: Server, management_key: str) -> None:
    """Ask for the state and not for the metrics, which may be a second old: an image can be finished in it."""
    headers = {"Authorization": f"Bearer {management_key}"}
    url = f"{server.url}/v2/status"
    eventually(lambda: server.session.get(url, headers=headers, timeout=10).json()["jobs"]["running"] == 1)


def test_the_same_seed_gives_the_same_bytes_through_another_server(front: Server, behind: Server) -> None:
    assert front.get("/readyz").json()["engine"] == f"upstream Danqing: {behind.get('/readyz').json()['engine']}"
    direct = behind.pictures(num_images=2, **BODY)
    response = front.post(num_images=2, **BODY)
    assert [front.fetch(image["url"]) for image in response.json()["data"]] == direct
    assert response.json()["meta"]["engine"].startswith("upstream Danqing: tiny (")
    assert response.json()["meta"]["warnings"] == []
    # A size of no bucket is fitted by the server that draws.
    odd = {**BODY, "size": "200x136"}
    assert front.pictures(**odd) == behind.pictures(**odd)


def test_partial_images_of_the_server_behind_are_streamed_on(front: Server) -> None:
    body = {"model": MODEL_ID, "prompt": "A brown dog.", "stream": True, "partial_images": 2, **BODY}
    headers = {"Authorization": f"Bearer {front.key}"}
    url = f"{front.url}/v1/images/generations"
    with requests.post(url, json=body, headers=headers, stream=True, timeout=60) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith(b"data: ")]
    kinds = [event["type"].removeprefix("image_generation.") for event in events]
    assert kinds == ["partial_image", "partial_image", "completed"]
    assert all(event["b64_json"] for event in events)


def test_a_cancelled_job_ends_on_the_server_behind(front: Server, behind: Server, management_key: str) -> None:
    before = {row["inference_id"] for row in behind.get("/v2/logs").json()["data"]}
    job_id = front.post(headers={"Prefer": "respond-async"}, **LONG).json()["id"]
    wait_until_one_runs(behind, management_key)
    url = f"{front.url}/v1/images/generations/{job_id}"
    assert front.session.delete(url, headers={"Authorization": f"Bearer {front.key}"}).status_code == 200

    def rows_of_this_test() -> list[dict[str, Any]]:
        return [row for row in behind.get("/v2/logs").json()["data"] if row["inference_id"] not in before]

    rows = eventually(rows_of_this_test)
    assert [(row["error_code"], row["cost"]["credits"]) for row in rows] == [("cancelled", 0)]


def test_the_server_behind_dies_in_mid_picture(front: Server, behind: Server, management_key: str) -> None:
    balance = front.balance()
    job_id = front.post(headers={"Prefer": "respond-async"}, **LONG).json()["id"]
    wait_until_one_runs(behind, management_key)
    behind.stop(signal.SIGKILL)
    job = front.finished(job_id)
    assert job["error"]["code"] == "engine_crashed"
    assert job["error"]["message"] == "The connection to the upstream engine broke."
    assert front.balance() == balance
    eventually(lambda: "it cannot be reached" in front.get("/readyz").text)
    assert front.run("credits", "check").returncode == 0
