"""What stands with a prompt: system prompt, thought and caption, as the checkpoint or a setting chooses."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.generation_config import TextTask, parse_generation_config
from danqing.hunyuan_image3.prompt_reading import PromptReading, PromptSettings
from danqing.hunyuan_image3.prompt_template import Prompt

GENERATION = parse_generation_config(
    {"diff_infer_steps": 50, "diff_guidance_scale": 2.5, "flow_shift": 3.0, "sequence_template": "instruct"}
)
SOURCE = """
en_unified = "Unified."
en_vanilla = "Vanilla."
en_recaption = "Recaption."
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "system_prompt.py").write_text(SOURCE)
    return tmp_path


def reading(folder: Path, *, settings: PromptSettings = PromptSettings(), **generation: Any) -> PromptReading:  # noqa: B008
    return PromptReading(folder, dataclasses.replace(GENERATION, **generation), settings)


def test_thought_and_caption_stand_beside_the_prompt(folder: Path) -> None:
    drawn = reading(folder, system_prompt="en_unified").to_draw("a cat", thought="Hm.", caption="A cat sits.")
    assert drawn == Prompt(text="a cat", system="Unified.", thought="Hm.", caption="A cat sits.")


def test_a_prompt_alone_gets_the_system_prompt_alone(folder: Path) -> None:
    its = reading(folder, system_prompt="en_unified")
    assert its.to_draw("a cat", thought=None, caption=None) == Prompt(text="a cat", system="Unified.")
    assert its.to_expand("a cat") == Prompt(text="a cat", system="Unified.")


def test_dynamic_differs_between_drawing_at_once_and_expanding(folder: Path) -> None:
    its = reading(folder, system_prompt="dynamic", text_task=TextTask.RECAPTION)
    assert its.to_draw("a cat", thought=None, caption=None).system == "Vanilla."
    assert its.to_expand("a cat").system == "Recaption."
    assert its.to_draw("a cat", thought=None, caption="A cat.").system == "Recaption."


def test_a_dropped_thought_takes_the_system_prompt_of_captions(folder: Path) -> None:
    its = reading(folder, system_prompt="en_unified", drop_think=True)
    both = its.to_draw("a cat", thought="Hm.", caption="A cat sits.")
    assert both == Prompt(text="a cat", system="Recaption.", caption="A cat sits.")
    # Only where there is a caption to draw from.
    assert its.to_draw("a cat", thought="Hm.", caption=None) == Prompt(text="a cat", system="Unified.", thought="Hm.")


def test_a_dropped_thought_without_a_system_prompt_needs_none(tmp_path: Path) -> None:
    both = reading(tmp_path, drop_think=True).to_draw("a cat", thought="Hm.", caption="A cat sits.")
    assert both == Prompt(text="a cat", caption="A cat sits.")


def test_settings_override_the_checkpoint(folder: Path) -> None:
    mine = PromptSettings(system_prompt="custom", system_prompt_text="Mine.", text_task=TextTask.THINK)
    its = reading(folder, settings=mine, system_prompt="en_unified")
    assert its.to_expand("a cat").system == "Mine."
    assert its.text_task == TextTask.THINK
    assert reading(folder, settings=PromptSettings(system_prompt="None")).to_expand("a cat").system is None


def test_a_missing_text_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'en_unified'"):
        reading(tmp_path, system_prompt="en_unified")


def test_the_plain_template_draws_the_caption_in_the_prompts_place(folder: Path) -> None:
    its = reading(folder, template="pretrain", text_task=TextTask.RECAPTION)
    assert its.to_draw("a cat", thought=None, caption="A cat sits.") == Prompt(text="A cat sits.")
    assert its.to_draw("a cat", thought=None, caption=None) == Prompt(text="a cat")


@pytest.mark.parametrize("task", [TextTask.THINK, TextTask.THINK_RECAPTION])
def test_the_plain_template_has_no_thinking(folder: Path, task: TextTask) -> None:
    with pytest.raises(CheckpointError, match=f"'{task}' needs the instruct template"):
        reading(folder, settings=PromptSettings(text_task=task), template="pretrain", text_task=TextTask.RECAPTION)
