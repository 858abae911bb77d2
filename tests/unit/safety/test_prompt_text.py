"""Folding gives one spelling to what a reader takes for the same text."""

import pytest

from danqing.safety.prompt_text import fold


@pytest.mark.parametrize(
    ("prompt", "folded"),
    [
        ("Nude CHILD", "nude child"),
        ("ｎｕｄｅ　１３", "nude 13"),
        ("nákéd", "naked"),
        ("nаkеd", "naked"),  # Cyrillic а and е
        ("ηυ∂є", "nude"),
        ("ɴᴜᴅᴇ ⓝⓤⓓⓔ 🅝🅤🅓🅔 🇳🇺🇩🇪", "nude nude nude nude"),
        ("n\u200bu\u00add\ufe0fe\u2060", "nude"),
        ("n\u0336u\u0336d\u0336e\u0336", "nude"),
        ("CHİLD", "child"),
        ("chiId", "child"),
        ("mInOrS", "minors"),
        ("١٢ १२ ১২ ①②", "12 12 12 12"),
    ],
)
def test_disguised_letters_fold_to_the_letters_they_draw(prompt, folded):
    assert fold(prompt).text == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("أطفال", "اطفال"),
        ("طفلة", "طفله"),
        ("ننگی", "ننگي"),
        ("ребёнок", "ребенок"),
        ("पढ़ती", "पढती"),
        ("पाँच", "पांच"),
    ],
)
def test_spellings_of_one_word_are_equal(one, other):
    assert fold(one).text == fold(other).text


@pytest.mark.parametrize(("one", "other"), [("नंगी", "नागा"), ("चूत", "चेत"), ("ホルノ", "ポルノ")])
def test_vowel_signs_and_voicing_marks_are_letters(one, other):
    assert fold(one).text != fold(other).text


@pytest.mark.parametrize("prompt", ["голый ребёнок", "ｎｕｄｅ 𝓃𝓊𝒹𝑒", "裸体の少女", "🅝🅤 🔞", "बच्ची नंगी", "ﷺ ½ ﬁ"])
def test_both_spellings_have_the_same_positions(prompt):
    folded = fold(prompt)
    assert len(folded.text) == len(folded.native)
    assert all(folded.text[token.start : token.end] == token.text for token in folded.tokens)
