"""`generate` draws with the real engine and a tiny checkpoint, and refuses bad input before it loads one."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tiny_checkpoints import write_answering, write_distil
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def quick(tiny_checkpoint: Path) -> list[str]:
    """Options of a drawing that takes a moment."""
    return ["--model", str(tiny_checkpoint), "--steps", "2", "--size", "200x100"]


def test_it_draws_files_of_exactly_the_size_asked_for_and_the_same_for_the_same_seed(
    run: Run, tmp_path: Path, quick: list[str]
) -> None:
    both = run("generate", "a brown dog", "-o", str(tmp_path / "both.png"), "--seed", "7", "--num-images", "2", *quick)
    assert both.exit_code == 0, both.output
    assert both.stdout.split() == [str(tmp_path / "both-1.png"), str(tmp_path / "both-2.png")]
    second = run("generate", "a brown dog", "-o", str(tmp_path / "second.png"), "--seed", "8", *quick)
    assert second.exit_code == 0, second.output
    assert (tmp_path / "second.png").read_bytes() == (tmp_path / "both-2.png").read_bytes()
    assert (tmp_path / "both-1.png").read_bytes() != (tmp_path / "both-2.png").read_bytes()
    with Image.open(tmp_path / "both-1.png") as picture:
        assert picture.size == (200, 100)


def test_it_has_the_prompt_rewritten_first_and_draws_what_it_tells(run: Run, tmp_path: Path) -> None:
    folder = write_answering(tmp_path / "writer", "a cat", "A fat [red] cat in snow.")
    quick = ["--seed", "7", "--model", str(folder), "--steps", "2", "--size", "64x64"]
    expanded = run("generate", "a cat", "-o", str(tmp_path / "expanded.png"), "--expand", *quick)
    assert expanded.exit_code == 0, expanded.output
    assert "Expanded to: A fat [red] cat in snow." in expanded.stderr
    run("generate", "A fat [red] cat in snow.", "-o", str(tmp_path / "same.png"), *quick)
    assert (tmp_path / "expanded.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    report = json.loads(run("generate", "a cat", "-o", str(tmp_path / "x.png"), "--expand", "--json", *quick).stdout)
    assert report["revised_prompt"] == "A fat [red] cat in snow."


def test_a_checkpoint_that_cannot_rewrite_says_so_and_draws(run: Run, tmp_path: Path, quick: list[str]) -> None:
    result = run("generate", "a dog", "-o", str(tmp_path / "dog.png"), "--expand", "--json", *quick)
    assert result.exit_code == 0, result.output
    assert "has not learned to expand prompts" in result.stderr
    assert json.loads(result.stdout)["revised_prompt"] is None
    assert (tmp_path / "dog.png").exists()


def test_a_snapshot_in_a_hub_cache_is_named_by_its_repository(run: Run, tmp_path: Path, tiny_checkpoint: Path) -> None:
    snapshot = tmp_path / "models--tencent--HunyuanImage-3.0" / "snapshots" / "3f2c1ab9d0"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(tiny_checkpoint)
    options = ["--model", str(snapshot), "--steps", "1", "--size", "64x64", "--json"]
    result = run("generate", "a dog", "-o", str(tmp_path / "dog.png"), *options)
    assert json.loads(result.stdout)["engine"].startswith("HunyuanImage-3.0 (")


def test_steps_and_guidance_suit_the_checkpoint_unless_they_are_named(run: Run, tmp_path: Path) -> None:
    folder = write_distil(tmp_path / "distil")
    (folder / "words.json").write_text('{"words": ["cat"]}')
    quick = ["--seed", "7", "--model", str(folder), "--size", "64x64", "--json", "-o", str(tmp_path / "x.png")]
    drawn = run("generate", "a dog", "--negative", "fog", *quick)
    assert drawn.exit_code == 0, drawn.output
    assert json.loads(drawn.stdout)["parameters"] == {
        "num_inference_steps": 8,
        "guidance_scale": 2.5,
        "step_reuse": "none",
    }
    assert "negative_prompt: has no effect" in drawn.stderr
    assert "distil does not know: dog" in drawn.stderr
    named = json.loads(run("generate", "a dog", "--steps", "2", "--guidance", "7.5", *quick).stdout)
    assert named["parameters"] == {"num_inference_steps": 2, "guidance_scale": 7.5, "step_reuse": "none"}


def test_steps_are_reused_where_they_can_be(run: Run, tmp_path: Path, tiny_checkpoint: Path) -> None:
    path = tmp_path / "x.png"
    quick = ["-o", str(path), "--seed", "7", "--model", str(tiny_checkpoint), "--size", "64x64", "--json"]
    reused = run("generate", "a dog", "--steps", "12", "--step-reuse", "half", *quick)
    assert reused.exit_code == 0, reused.output
    assert json.loads(reused.stdout)["parameters"]["step_reuse"] == "half"
    with_reuse = path.read_bytes()
    run("generate", "a dog", "--steps", "12", *quick)
    assert path.read_bytes() != with_reuse
    too_few = run("generate", "a dog", "--steps", "2", "--step-reuse", "half", *quick)
    assert "step_reuse: has no effect with fewer than" in too_few.stderr
    assert json.loads(too_few.stdout)["parameters"]["step_reuse"] == "none"


def test_the_name_of_the_file_decides_its_format(run: Run, tmp_path: Path, quick: list[str]) -> None:
    result = run("generate", "a brown dog", "-o", str(tmp_path / "dog.jpg"), *quick)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "dog.jpg") as picture:
        assert picture.format == "JPEG"


def test_a_broken_checkpoint_is_said_once_and_is_a_failure_of_the_engine(run: Run, tmp_path: Path) -> None:
    result = run("generate", "a dog", "-o", str(tmp_path / "x.png"), "--model", str(tmp_path / "nowhere"))
    assert result.exit_code == 4
    assert result.stderr.count("nowhere: no such folder") == 1
    assert "Traceback" not in result.output


def test_a_prompt_longer_than_the_model_reads_is_bad_input(run: Run, tmp_path: Path, quick: list[str]) -> None:
    result = run("generate", "丹" * 4000, "-o", str(tmp_path / "x.png"), *quick)
    assert result.exit_code == 2
    assert "prompt" in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_a_prompt_that_is_not_utf_8_is_bad_input(tmp_path: Path) -> None:
    # A process of its own: only there do arguments arrive as bytes.
    command = [Path(sys.executable).with_name("danqing"), "generate", b"a dog \xff", "-o", tmp_path / "x.png"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2, result.stderr
    assert "PROMPT: Must be valid Unicode" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--size", "3x3"], "size"),
        (["--size", "4096x4096"], "size"),
        (["--size", "wide"], "size"),
        (["-o", "x.gif"], "output"),
        (["-o", "/nowhere/x.png"], "output"),
        (["--steps", "0"], "steps"),
        (["--steps", "51"], "steps"),
        (["--guidance", "0.5"], "guidance"),
        (["--num-images", "5"], "num-images"),
        (["--seed", "0"], "seed"),
        (["--negative", "x" * 4001], "negative"),
        (["--negative", "fog \udcff"], "negative"),
    ],
)
def test_bad_input_names_the_option(run: Run, arguments: list[str], name: str) -> None:
    result = run("generate", "a dog", *arguments)
    assert result.exit_code == 2
    assert name in result.stderr
    assert "Traceback" not in result.output


def test_a_blank_prompt_is_bad_input(run: Run, quick: list[str]) -> None:
    result = run("generate", " \x0b", *quick)
    assert (result.exit_code, "PROMPT" in result.stderr) == (2, True)
