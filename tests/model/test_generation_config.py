"""`generation_config.json`: defaults, text sampling and tasks; each rejected value is named."""

import pytest

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.generation_config import GREEDY, TextSampling, TextTask, parse_generation_config

GENERATION = {"diff_infer_steps": 50, "diff_guidance_scale": 7.5, "flow_shift": 3.0, "sequence_template": "pretrain"}


@pytest.mark.parametrize("key", ["diff_infer_steps", "diff_guidance_scale", "flow_shift"])
def test_a_missing_key_of_the_generation_config_is_named(key: str) -> None:
    with pytest.raises(CheckpointError, match=rf"generation_config\.json.*{key}"):
        parse_generation_config({name: value for name, value in GENERATION.items() if name != key})


def test_an_unknown_template_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(CheckpointError, match=r"'chat'.*pretrain.*instruct"):
        parse_generation_config({**GENERATION, "sequence_template": "chat"})


def test_a_whole_number_serves_as_a_fraction() -> None:
    assert parse_generation_config({**GENERATION, "flow_shift": 3}).flow_shift == 3.0


@pytest.mark.parametrize(("template", "learned"), [("pretrain", False), ("instruct", True)])
def test_a_checkpoint_says_whether_it_expands_prompts_or_its_template_does(template: str, learned: bool) -> None:
    values = {**GENERATION, "sequence_template": template}
    assert parse_generation_config(values).expands is learned
    assert parse_generation_config({**values, "recaption": not learned}).expands is not learned


def test_text_is_greedy_unless_the_checkpoint_samples() -> None:
    published = {"temperature": 0.6, "top_k": 1024, "top_p": 0.95}
    assert parse_generation_config({**GENERATION, **published}).sampling == GREEDY
    asked = parse_generation_config({**GENERATION, **published, "do_sample": True})
    assert asked.sampling == TextSampling(temperature=0.6, top_k=1024, top_p=0.95)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recaption", "true"),
        ("recaption", 1),
        ("do_sample", None),
        ("temperature", 0),
        ("temperature", "0.6"),
        ("top_k", -1),
        ("top_k", 0.5),
        ("top_p", 0),
        ("top_p", 1.1),
        ("repetition_penalty", 0),
        ("repetition_penalty", "1.05"),
        ("drop_think", "no"),
        ("max_length", 0),
        ("use_system_prompt", 3),
    ],
)
def test_a_wrong_value_about_text_is_named(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=rf"generation_config\.json.*{key}"):
        parse_generation_config({**GENERATION, "do_sample": True, key: value})


def test_guidance_acts_at_every_noise_level_unless_the_checkpoint_says_otherwise() -> None:
    assert parse_generation_config(GENERATION).guidance_min_sigma == 0
    assert parse_generation_config({**GENERATION, "guidance_min_sigma": 0.6}).guidance_min_sigma == 0.6


@pytest.mark.parametrize("value", [-0.1, 1.5, "0.6", None])
def test_a_wrong_noise_level_for_guidance_is_named(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"generation_config\.json.*guidance_min_sigma"):
        parse_generation_config({**GENERATION, "guidance_min_sigma": value})


def test_the_push_of_guidance_has_no_bound_unless_the_checkpoint_sets_one() -> None:
    assert parse_generation_config(GENERATION).guidance_max_push is None
    assert parse_generation_config({**GENERATION, "guidance_max_push": 2}).guidance_max_push == 2.0


@pytest.mark.parametrize("value", [0, -1.5, float("inf"), float("nan"), "1.5", None])
def test_a_wrong_bound_for_guidance_is_named(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"generation_config\.json.*guidance_max_push"):
        parse_generation_config({**GENERATION, "guidance_max_push": value})


def test_without_a_template_it_is_the_plain_one() -> None:
    assert parse_generation_config({**GENERATION, "sequence_template": "pretrain"}).template == "pretrain"
    absent = {key: value for key, value in GENERATION.items() if key != "sequence_template"}
    assert parse_generation_config(absent).template == "pretrain"


@pytest.mark.parametrize(
    ("bot_task", "expected"),
    [
        ("think", TextTask.THINK),
        ("recaption", TextTask.RECAPTION),
        ("think_recaption", TextTask.THINK_RECAPTION),
        ("image", TextTask.THINK_RECAPTION),
        ("auto", TextTask.THINK_RECAPTION),
        ("vanilla", TextTask.THINK_RECAPTION),
        (None, TextTask.THINK_RECAPTION),
    ],
)
def test_the_text_task_is_the_checkpoints_own_or_the_recommended_one(bot_task: str | None, expected: TextTask) -> None:
    values = {**GENERATION, "sequence_template": "instruct", "bot_task": bot_task}
    assert parse_generation_config(values).text_task == expected


def test_the_plain_template_writes_captions_alone() -> None:
    assert parse_generation_config({**GENERATION, "bot_task": "think"}).text_task == TextTask.RECAPTION


@pytest.mark.parametrize("value", [None, "None"])
def test_no_system_prompt_has_two_spellings(value: str | None) -> None:
    assert parse_generation_config({**GENERATION, "use_system_prompt": value}).system_prompt == "None"


def test_a_repetition_penalty_is_kept() -> None:
    assert parse_generation_config({**GENERATION, "repetition_penalty": 1.05}).sampling.repetition_penalty == 1.05
