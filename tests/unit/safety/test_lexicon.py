"""Every word list that is shipped can be read, and holds nothing that no rule would read."""

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from danqing.safety.lexicon import expand_braces, load_lexicon
from danqing.safety.prompt_text import fold

WORDS = Path(str(files("danqing.safety") / "words"))
LANGUAGES = sorted(path.stem for path in WORDS.glob("*.toml"))
SPOKEN_MOST = {"en", "zh", "hi", "es", "fr", "ar", "bn", "pt", "ru", "ur"}


def test_the_ten_most_spoken_languages_have_lists():
    assert set(LANGUAGES) >= SPOKEN_MOST


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_concept_of_a_list_is_described(language):
    described = (WORDS / "README.md").read_text(encoding="utf-8")
    lists = tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))
    assert set(lists) <= {"function_words", "letters", "concepts", "ambiguous", "numbers", "harmless"}
    for concept in (*lists["concepts"], *lists.get("ambiguous", {})):
        assert f"`{concept}`" in described or f".{concept}`" in described, concept


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_entry_is_a_single_latin_letter_or_has_open_braces(language):
    lists = tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))
    for entries in (*lists["concepts"].values(), lists["harmless"]["phrases"]):
        for spelling in (spelling for entry in entries for spelling in expand_braces(entry)):
            assert "{" not in spelling, spelling
            assert "}" not in spelling, spelling
            letters = fold(spelling).text.replace("*", "").replace(" ", "")
            assert len(letters) > 1 or not letters.isascii(), spelling


@pytest.mark.parametrize("language", sorted(SPOKEN_MOST))
def test_each_of_these_languages_names_minors_nudity_sex_ages_and_violence(language):
    lists = tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))
    assert {"minor", "girl_or_boy", "nudity", "sex", "suggestive", "violence", "years"} <= set(lists["concepts"])


def test_braces_stand_for_every_spelling():
    assert list(expand_braces("kid{,s} {a,b}")) == ["kid a", "kid b", "kids a", "kids b"]


def test_the_lists_are_read_once():
    assert load_lexicon() is load_lexicon()
