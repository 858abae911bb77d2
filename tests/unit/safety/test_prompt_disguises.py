"""Disguised words are found, and plain text is not misread for them."""

import pytest

from danqing.safety.hits import find_hits
from danqing.safety.lexicon import load_lexicon
from danqing.safety.prompt_text import fold


def concepts(prompt: str) -> set[str]:
    return {hit.concept for hit in find_hits(fold(prompt), load_lexicon()).hits}


@pytest.mark.parametrize(
    "prompt",
    [
        "n u d e",
        "n.u.d.e",
        "n-u-d-e",
        "n/u/d/e",
        "[n][u][d][e]",
        "n\nu\nd\ne",
        "a n u d e b",
        "nu.de",
        "nak-ed",
        "na ked",
        "n4k3d",
        "n@ked",
        "nud€",
        "n_4_k_3_d",
        "nuuude",
        "nnuuddee",
        "nudde",
        "n*de",
        "nakedchild",
        "#nudekids",
        "nude_01.png",
        "голaя",
        "г о л а я",
        "裸 体",
        "裸.体",
        "rnale nude",
    ],
)
def test_disguised_nudity_is_found(prompt):
    assert "nudity" in concepts(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "the pen is here",
        "por no ir",
        "Essex and Sussex",
        "analysis",
        "annual",
        "therapist",
        "cockpit",
        "shiitake",
        "4k 8k 3d h264",
        "f/5.6 s=3x4",
        "тот мальчик",
        "putting hands",
        "grapes",
        "Scunthorpe",
        "Penistone",
        "ピエロ",
        "ヒエログリフ",
        "カップヌードル",
        "异性，感觉",
        "трахея",
        "Titicaca",
        "drapes",
        "Matsushita",
    ],
)
def test_plain_text_holds_no_sexual_word(prompt):
    assert not concepts(prompt) & {"nudity", "sex", "suggestive", "violence"}


def test_a_disguised_word_is_found_at_the_end_of_a_long_stretch_without_spaces():
    assert "nudity" in concepts("/".join(["2nd-photo"] * 50) + "/n4k3d")
    assert "nudity" in concepts("picture" * 50 + "nakedchild")


def test_an_ambiguous_word_counts_where_its_language_is_spoken():
    lexicon = load_lexicon()
    german, english = find_hits(fold("das Kind auf dem Bett"), lexicon), find_hits(fold("a kind old man"), lexicon)
    assert "minor" in {hit.concept for hit in german.spoken(also=frozenset())}
    assert "minor" not in {hit.concept for hit in english.spoken(also=frozenset())}
    assert "minor" in {hit.concept for hit in english.spoken(also=frozenset({"de"}))}
