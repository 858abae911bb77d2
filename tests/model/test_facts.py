"""Facts about a checkpoint, from its JSON files alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import PARITY

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.facts import CheckpointDefaults, read_facts


@pytest.mark.parametrize(
    ("case", "defaults", "expected"),
    [
        ("pretrain", (50, 7.5), {"distilled": False, "instruct": False, "expands": False}),
        ("instruct-system", (50, 2.5), {"distilled": False, "instruct": True, "expands": True}),
        ("distil", (8, 2.5), {"distilled": True, "instruct": True, "expands": True}),
    ],
)
def test_a_checkpoint_says_what_it_is(case: str, defaults: tuple[int, float], expected: dict[str, Any]) -> None:
    facts = read_facts(PARITY / case)
    assert facts.defaults == CheckpointDefaults(num_inference_steps=defaults[0], guidance_scale=defaults[1])
    assert {key: getattr(facts, key) for key in expected} == expected
    assert facts.name == case


def test_the_documented_defaults_are_right_for_the_plain_checkpoint_alone() -> None:
    wants = {case: read_facts(PARITY / case).wants_own_defaults for case in ("pretrain", "instruct-system", "distil")}
    assert wants == {"pretrain": False, "instruct-system": True, "distil": True}


def test_a_negative_prompt_acts_unless_guidance_is_distilled() -> None:
    takes = {
        case: read_facts(PARITY / case).takes_negative_prompt for case in ("pretrain", "instruct-system", "distil")
    }
    assert takes == {"pretrain": True, "instruct-system": True, "distil": False}


def test_only_sizes_that_can_be_drawn_are_counted() -> None:
    # At base 256 numbers 34 and 36 are no whole number of tokens.
    assert read_facts(PARITY / "distil").num_sizes == 35


def test_no_weight_is_needed(tmp_path: Path) -> None:
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((PARITY / "distil" / name).read_bytes())
    assert read_facts(tmp_path).distilled


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_facts(tmp_path)


def test_a_list_of_words_is_read_where_the_folder_has_one(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PARITY / "distil", tmp_path / "x", ignore=shutil.ignore_patterns("*.safetensors")))
    assert read_facts(folder).words is None
    (folder / "words.json").write_text('{"words": ["Fox", "t-rex"]}')
    assert read_facts(folder).words == {"fox", "t-rex"}


@pytest.mark.parametrize("text", ["{}", '{"words": 1}', '{"words": [1]}', "[]"])
def test_a_list_of_words_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(PARITY / "distil", tmp_path / "x", ignore=shutil.ignore_patterns("*.safetensors")))
    (folder / "words.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"words\.json"):
        read_facts(folder)
