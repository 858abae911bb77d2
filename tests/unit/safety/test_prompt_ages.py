"""Ages are read in figures and words of every listed language; durations, counts and the age of things are not ages."""

import pytest

from danqing.safety.policy import Reading


@pytest.mark.parametrize(
    "prompt",
    [
        "13 year old",
        "13-year-old",
        "thirteen-year-old",
        "13yo",
        "13 y/o",
        "aged 13",
        "age: 13",
        "13 years of age",
        "1 3 year old",
        "a girl, 15, smiling",
        "boy (9)",
        "a boy of nine",
        "she is fifteen",
        "１３ year old",
        "ages 9 and 11",
        "nine yr old",
        "de 12 años",
        "12 ans",
        "douze ans",
        "12 anos",
        "12-jährige",
        "zwölf Jahre alt",
        "12 лет",
        "двенадцатилетняя",
        "13岁",
        "十三歲",
        "१३ साल",
        "बारह साल",
        "১৩ বছর",
        "١٣ سنة",
        "ثلاث عشرة سنة",
        "۱۳ سال",
        "13歳",
        "umur 12",
        "12 tahun",
        "13살",
    ],
)
def test_a_childs_age_names_a_minor(prompt):
    assert Reading(prompt).names("minor")


@pytest.mark.parametrize(
    "prompt",
    [
        "30 year old",
        "twenty-three year old",
        "an 18-year-old",
        "treinta y tres años",
        "vingt-deux ans",
        "三十岁",
        "二十三岁",
        "30 साल",
        "٣٠ سنة",
        "ثلاثة وعشرون سنة",
        "30 лет",
        "30歳",
    ],
)
def test_an_adults_age_names_an_adult(prompt):
    reading = Reading(prompt)
    assert reading.names("grown")
    assert not reading.names("minor")


@pytest.mark.parametrize(
    "prompt",
    [
        "12 year old Scotch whisky",
        "a 17 year old car",
        "whisky de 12 años",
        "hace 12 años",
        "il y a 12 ans",
        "через 12 лет",
        "3 cats and 4 dogs",
        "12 o'clock",
        "a girl, 4k, 16:9",
        "十二年陈酿",
        "chapter 12",
        "200 year old oak",
    ],
)
def test_other_numbers_name_nobody(prompt):
    assert not Reading(prompt).names("minor", "grown")
