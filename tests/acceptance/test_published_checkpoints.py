"""Tiny random checkpoints like the published Instruct and Instruct-Distil, through a whole server: HTTP to picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance.server import Server, serving
from tiny_checkpoints import CAPTION, CHOSEN_SIZE_PX, THOUGHT, write_distil, write_instruct

SMALL: dict[str, Any] = {"size": "256x192", "seed": 7}


@pytest.fixture(scope="module")
def distil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("distil")
    with served(folder, write_distil(folder / "Tiny-Instruct-Distil")) as server:
        yield server


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("instruct")
    checkpoint = write_instruct(folder / "Tiny-Instruct", generation={"diff_infer_steps": 4})
    with served(folder, checkpoint) as server:
        yield server


def served(folder: Path, checkpoint: Path) -> Any:
    return serving(folder / "data", DANQING_MODEL=str(checkpoint), DANQING_LOG_LEVEL="debug", OMP_NUM_THREADS="1")


def drawn(server: Server, **body: Any) -> dict[str, Any]:
    server.wait_until_ready()
    response = server.post(**{**SMALL, **body})
    assert response.status_code == 200, response.text
    # Whatever is asked, what the model thought is nobody's business.
    assert THOUGHT not in response.text
    answer: dict[str, Any] = response.json()
    return answer


def picture(server: Server, **body: Any) -> bytes:
    (image,) = drawn(server, **body)["data"]
    return server.fetch(image["url"])


def test_a_distilled_checkpoint_draws_in_its_own_steps_and_at_its_own_guidance(distil: Server) -> None:
    answer = drawn(distil)
    assert answer["meta"]["engine"].startswith("Tiny-Instruct-Distil (")
    assert answer["meta"]["warnings"] == []
    assert answer["meta"]["parameters"] == {
        "num_images": 1,
        "seed": 7,
        "image_size": {"width": 256, "height": 192},
        "num_inference_steps": 8,
        "guidance_scale": 2.5,
        "step_reuse": "none",
    }
    assert picture(distil) == picture(distil, num_inference_steps=8, guidance_scale=2.5)
    assert picture(distil) != picture(distil, num_inference_steps=7)


def test_a_distilled_checkpoint_is_told_its_guidance(distil: Server) -> None:
    assert len({picture(distil, guidance_scale=guidance) for guidance in (1, 2.5, 7.5)}) == 3


def test_a_distilled_checkpoint_has_one_branch_and_says_so_of_a_negative_prompt(distil: Server) -> None:
    assert picture(distil, negative_prompt="fog") == picture(distil)
    (warning,) = drawn(distil, negative_prompt="fog")["meta"]["warnings"]
    assert warning.startswith("negative_prompt: has no effect")


def test_an_instruct_checkpoint_draws_with_its_own_defaults_and_two_branches(instruct: Server) -> None:
    meta = drawn(instruct, negative_prompt="fog")["meta"]
    used = meta["parameters"]
    assert (used["num_inference_steps"], used["guidance_scale"], meta["warnings"]) == (4, 2.5, [])
    assert picture(instruct, negative_prompt="fog") != picture(instruct)


@pytest.mark.parametrize("name", ["distil", "instruct"])
def test_expansion_and_size_come_from_one_pass_and_the_thought_stays_inside(
    name: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(name)
    answer = drawn(server, enable_prompt_expansion=True, size="auto")
    (image,) = answer["data"]
    assert (image["width"], image["height"]) == CHOSEN_SIZE_PX
    assert answer["meta"]["parameters"]["image_size"] == dict(zip(("width", "height"), CHOSEN_SIZE_PX, strict=True))
    assert image["revised_prompt"] == CAPTION
    assert answer["meta"]["warnings"] == []
    assert server.fetch(image["url"]) != picture(server, size="x".join(map(str, CHOSEN_SIZE_PX)))


@pytest.mark.parametrize("name", ["distil", "instruct"])
def test_neither_a_job_nor_its_events_nor_a_log_tell_the_thought(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)
    server.wait_until_ready()
    response = server.post({"Prefer": "respond-async"}, **{**SMALL, "enable_prompt_expansion": True})
    job_id = response.json()["id"]
    events = [str(event) for event in server.events(job_id)]
    assert CAPTION in events[-1]
    told = [*events, str(server.finished(job_id)), server.get("/v2/logs?period=24h").text, server.log_file.read_text()]
    assert not any(THOUGHT in text for text in told)
