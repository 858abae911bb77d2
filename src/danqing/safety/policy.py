"""Which prompts are refused, as data: a few word lists and what may not stand together. Knows nothing of who asks.

The lists name what is clearly disallowed and nothing that is merely bold: a word list cannot judge taste, and a refused
honest prompt is a fault too. Harmless phrases that contain a listed word are taken out before the rules look.
"""

import re
from dataclasses import dataclass

POLICY_NAME = "danqing-policy-1"


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(patterns) + r")\b")


def _phrases(*patterns: str) -> re.Pattern[str]:
    # Chinese is written without spaces, so there are no word boundaries to respect.
    return re.compile("|".join(patterns))


MINORS = _words(
    r"child(?:ren)?",
    r"kid(?:s|dies|die|dy)?",
    r"bab(?:y|ies)",
    r"toddlers?",
    r"infants?",
    r"pre-?teens?",
    r"teens?",
    r"teenage(?:d|rs?)?",
    r"adolescents?",
    r"under-?aged?",
    r"minors",
    r"(?:a|the) minor",
    r"little (?:girl|boy)s?",
    r"young (?:girl|boy)s?",
    r"school-?(?:girl|boy|child|children|kid)s?",
    r"(?:[1-9]|1[0-7])[- ]?(?:years?|yrs?)[- ]?olds?",
    r"(?:[1-9]|1[0-7]) ?y/?o",
)
SEXUAL = _words(
    r"nud(?:e|es|ity)",
    r"naked",
    r"topless",
    r"undressed",
    r"sex",
    r"sexy",
    r"sexual(?:ly|i[sz]ed)?",
    r"erotica?",
    r"porn(?:o|ographic|ography)?",
    r"nsfw",
    r"hentai",
    r"orgasm(?:s|ic)?",
    r"masturbat(?:e|es|ing|ion)",
    r"genitals?",
    r"fetish",
    r"seductive(?:ly)?",
    r"lingerie",
)
MINORS_CHINESE = _phrases(
    "儿童", "兒童", "小孩", "幼女", "幼童", "幼儿", "女童", "男童", "未成年", "小学生", "中学生", "小女孩", "小男孩"
)
SEXUAL_CHINESE = _phrases("裸体", "裸體", "裸照", "全裸", "色情", "性交", "做爱", "淫秽", "性感", "情色", "黄色图片")

HARMLESS = re.compile(
    r"\bnaked mole[- ]rats?\b"
    r"|\b(?:with|to|by) the naked eye\b"
    r"|\bnaked (?:flames?|singularit(?:y|ies)|trees?|branch(?:es)?)\b"
    r"|\bnude (?:colou?r(?:s|ed)?|lipstick|tones?|shades?|palette)\b"
    r"|\bsame[- ]sex\b"
    r"|\b(?:oilseed rape|rape ?seed|rape fields?|fields? of rape)\b"
)


@dataclass(frozen=True)
class Rule:
    """A prompt is refused when every one of `patterns` is found somewhere in it.

    An essential rule holds for callers who switch the safety checker off, too.
    """

    category: str
    patterns: tuple[re.Pattern[str], ...]
    essential: bool = True


RULES = (
    Rule("sexual content involving minors", (MINORS, SEXUAL)),
    Rule("sexual content involving minors", (MINORS_CHINESE, SEXUAL_CHINESE)),
    Rule(
        "sexual content involving minors",
        (_words("loli(?:con|ta)? (?:porn|hentai|nudes?|sex)", "lolicon", "shotacon"),),
    ),
    Rule("sexual content involving minors", (_words("jailbait", "p(?:a)?edo(?:phil(?:e|ia|ic))? (?:porn|sex|art)"),)),
    Rule("sexual violence", (_words("rape", "raped", "raping", "rapes", "gang-?rape", "molest(?:ed|ing|ation)?"),)),
    Rule("sexual violence", (_phrases("强奸", "強姦", "轮奸"),)),
    Rule("sexual content with animals", (_words("bestiality", "zoophilia"),)),
    Rule(
        "explicit sexual content", (_words("porn(?:o|ographic|ography)?", "hardcore sex", "hentai"),), essential=False
    ),
    Rule("explicit sexual content", (_phrases("色情", "性交", "淫秽"),), essential=False),
)


def violated_category(text: str, *, essential_only: bool) -> str | None:
    """Name what the normalised, lower-case text breaks, None when it breaks nothing."""
    remaining = HARMLESS.sub(" ", text)
    for rule in RULES:
        if essential_only and not rule.essential:
            continue
        if all(pattern.search(remaining) for pattern in rule.patterns):
            return rule.category
    return None
