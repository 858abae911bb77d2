"""System prompts: chosen by name, read from the folder's own file without running it."""

from pathlib import Path

import pytest

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.system_prompt import system_prompt

SOURCE = '''
"""Texts."""
import os
os.environ["DANQING_TEST_EXECUTED"] = "yes"
raise SystemExit("this file must not run")

t2i_system_prompt_en_vanilla = """
Vanilla text.
"""
t2i_system_prompt_en_recaption: str = "Recaption " + "text."
t2i_system_prompt_en_think_recaption = ("Think "
    "recaption text.").strip()
unified_system_prompt_en = "Unified text."
number = 3
computed = os.getcwd()


def get_system_prompt(kind):
    en_hidden = "not a module's constant"
    return en_hidden
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "system_prompt.py").write_text(SOURCE)
    return tmp_path


def chosen(folder: Path, name: str, *, text: str | None = None, task: str = "image") -> str | None:
    return system_prompt(folder, name=name, text=text, task=task)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("en_vanilla", "Vanilla text."),
        ("en_recaption", "Recaption text."),
        ("en_think_recaption", "Think recaption text."),
        ("en_unified", "Unified text."),
    ],
)
def test_a_named_text_is_the_constant_with_the_same_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.delenv("DANQING_TEST_EXECUTED", raising=False)
    assert chosen(folder, name) == text
    assert "DANQING_TEST_EXECUTED" not in __import__("os").environ


@pytest.mark.parametrize(
    "source",
    [
        'PROMPTS = {"en_unified": "Unified text.", "en_other": "Other."}',
        'text = "Unified text."\nPROMPTS = {"en_unified": [text], 3: "x"}',
        'en_unified = en_unified_system_prompt = "  Unified text.\\n"',
    ],
)
def test_dictionaries_and_lists_of_constants_are_read_too(tmp_path: Path, source: str) -> None:
    (tmp_path / "system_prompt.py").write_text(source)
    assert chosen(tmp_path, "en_unified") == "Unified text."


def test_the_file_may_lie_in_a_folder_of_code(tmp_path: Path) -> None:
    (tmp_path / "hunyuan_image_3").mkdir()
    (tmp_path / "hunyuan_image_3" / "system_prompt.py").write_text(SOURCE)
    assert chosen(tmp_path, "en_unified") == "Unified text."


@pytest.mark.parametrize("name", ["None", "none"])
def test_none_is_none(folder: Path, name: str) -> None:
    assert chosen(folder, name, text="not used") is None


def test_custom_is_the_callers_text_stripped(folder: Path) -> None:
    assert chosen(folder, "custom", text="\n Be kind. ") == "Be kind."


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_custom_without_a_text_is_none(folder: Path, text: str | None) -> None:
    assert chosen(folder, "custom", text=text) is None


def test_custom_without_a_text_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        chosen(folder, "custom")
    assert "'custom'" in caplog.text


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("image", "Vanilla text."),
        ("recaption", "Recaption text."),
        ("think", "Think recaption text."),
        ("think_recaption", "Mine."),
        ("auto", "Mine."),
    ],
)
def test_dynamic_follows_the_task_and_is_the_callers_for_the_recommended_one(
    folder: Path, task: str, expected: str
) -> None:
    assert chosen(folder, "dynamic", text="Mine.", task=task) == expected


def test_dynamic_without_a_text_is_none_for_the_recommended_task(folder: Path) -> None:
    assert chosen(folder, "dynamic", task="think_recaption") is None


@pytest.mark.parametrize("name", ["en_hidden", "number", "computed", "xy_unified", "en", "system_prompt"])
def test_a_name_without_a_text_is_refused_with_what_to_do(folder: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=rf"'{name}'.*system_prompt\.py"):
        chosen(folder, name)


def test_a_folder_without_texts_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'en_unified'.*no system_prompt\.py"):
        chosen(tmp_path, "en_unified")


@pytest.mark.parametrize("content", [b"x = (", b"\xff\xfe", b"x = '\0'"])
def test_a_file_that_is_no_python_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "system_prompt.py").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"system_prompt\.py: cannot be read as Python"):
        chosen(tmp_path, "en_unified")


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "system_prompt.py").write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(CheckpointError, match=r"system_prompt\.py: is larger"):
        chosen(tmp_path, "en_unified")
