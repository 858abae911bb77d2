"""The glossary's words and no others: nothing that its column "Not called" lists stands in source or documents."""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
SEARCHED = ("src", "docs", "examples", "mini", "*.md")
ENDINGS = (".py", ".js", ".mjs", ".html", ".css", ".md", ".toml")

# `<answer>` is a token of the instruct template.
WORD_START, WORD_END = r"(?<![\w<])(?<!</)", r"(?!\w)"
WORDS_OF_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
NAME = re.compile(r"[A-Za-z_]\w*")
NOT_NAMES_IN_SCRIPTS = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`", re.S
)
# Python 3.12 takes f-strings apart.
PROSE_TOKENS = (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
ENTRY = re.compile(
    r"(?P<code>`)?(?P<word>[\w .-]+?)`?(?: in `(?P<inside>[\w/.-]+)`)?(?: outside `(?P<outside>[\w/.-]+)`)?"
)
# Another meaning of a word, which everybody outside this project uses too.
ALLOWED = {
    ("src/danqing/hunyuan_image3/prompt_template.py", "turn"): "a chat consists of turns",
}


@dataclass(frozen=True, kw_only=True)
class Banned:
    """A word that the glossary has another one for."""

    word: str
    in_names_only: bool = False
    inside: str = ""
    outside: str | None = None

    def applies_to(self, path: str) -> bool:
        is_outside = self.outside is None or not path.startswith(self.outside)
        return path.startswith(self.inside) and is_outside and (path, self.word) not in ALLOWED

    def in_prose(self, text: str) -> Iterator[int]:
        """Lines of `text` that hold the word, in the singular or the plural."""
        if not self.in_names_only:
            pattern = WORD_START + r"\s+".join(map(re.escape, self.word.split())) + "s?" + WORD_END
            for match in re.finditer(pattern, text, re.IGNORECASE):
                yield text.count("\n", 0, match.start()) + 1

    def in_name(self, name: str) -> bool:
        """Tell whether an identifier holds the word; only a word that prose may not hold counts in the plural too."""
        own, words = words_of(self.word), words_of(name)
        if not self.in_names_only:
            words = [word.removesuffix("s") if word == f"{own[-1]}s" else word for word in words]
        return any(words[start : start + len(own)] == own for start in range(len(words)))


@cache
def words_of(name: str) -> list[str]:
    """The words of an identifier: `draw_id`, `drawId` and `DRAW_ID` are all "draw", "id"."""
    return [word.lower() for word in WORDS_OF_NAME.findall(name)]


def banned_words(page: str) -> list[Banned]:
    rows = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    entries = [
        entry.strip() for row in rows if row[-1].strip() not in ("Not called", "---") for entry in row[2].split(",")
    ]
    return [parse(entry) for entry in entries if entry]


def parse(entry: str) -> Banned:
    match = ENTRY.fullmatch(entry)
    assert match is not None, f"not an entry of the glossary: {entry!r}"
    return Banned(
        word=match["word"],
        in_names_only=match["code"] is not None,
        inside=match["inside"] or "",
        outside=match["outside"],
    )


def names_and_prose(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Identifiers of a source file with their lines, and its text for people with all line numbers kept."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return _python(text)
    if path.suffix in (".js", ".mjs"):
        bare = NOT_NAMES_IN_SCRIPTS.sub(lambda match: "\n" * match[0].count("\n"), text)
        lines = enumerate(bare.splitlines(), start=1)
        return [(name, number) for number, line in lines for name in NAME.findall(line)], text
    return [], text


def _python(text: str) -> tuple[list[tuple[str, int]], str]:
    names = []
    prose = [""] * (text.count("\n") + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        first_line = token.start[0]
        if token.type == tokenize.NAME:
            names.append((token.string, first_line))
        elif token.type in PROSE_TOKENS:
            for offset, line in enumerate(token.string.splitlines()):
                prose[first_line - 1 + offset] += f" {line}"
    return names, "\n".join(prose)


def searched_files() -> list[Path]:
    found = [
        path for part in SEARCHED for top in ROOT.glob(part) for path in ([top] if top.is_file() else top.rglob("*"))
    ]
    return sorted({path for path in found if path.suffix in ENDINGS and path != GLOSSARY})


def findings(path: Path, *, banned: list[Banned]) -> list[str]:
    where = path.relative_to(ROOT).as_posix()
    here = [entry for entry in banned if entry.applies_to(where)]
    names, prose = names_and_prose(path)
    names += [(part, 0) for part in Path(where).with_suffix("").parts]
    in_names = [(line, f"`{name}`", entry) for name, line in names for entry in here if entry.in_name(name)]
    in_prose = [(line, "text", entry) for entry in here for line in entry.in_prose(prose)]
    return [f"{where}:{line}: {what} has “{entry.word}”" for line, what, entry in [*in_names, *in_prose]]


def test_the_glossary_is_read_as_it_is_written() -> None:
    page = """
| Word | Means | Not called |
|---|---|---|
| sample | to choose at random | by lot, `draw_seed`, `place` in `src/` outside `src/a/` |
| step | one move of the latent | |
"""
    assert banned_words(page) == [
        Banned(word="by lot"),
        Banned(word="draw_seed", in_names_only=True),
        Banned(word="place", in_names_only=True, inside="src/", outside="src/a/"),
    ]


@pytest.mark.parametrize("name", ["draw_id", "drawId", "DRAW_ID", "last_draw_id"])
def test_a_banned_name_is_found_in_every_spelling(name: str) -> None:
    assert Banned(word="draw_id", in_names_only=True).in_name(name)
    assert not Banned(word="draw_id", in_names_only=True).in_name("withdraw_id")


def test_a_banned_phrase_is_found_across_lines_but_not_inside_a_word() -> None:
    assert list(Banned(word="by lot").in_prose("a\nsampled by\nlot")) == [2]
    assert not list(Banned(word="answer").in_prose("answering <answer> </answer>"))


def test_no_word_stands_where_the_glossary_has_another() -> None:
    banned = banned_words(GLOSSARY.read_text(encoding="utf-8"))
    assert len(banned) > 20
    found = [finding for path in searched_files() for finding in findings(path, banned=banned)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("path", "word"), ALLOWED)
def test_every_exception_is_still_needed(path: str, word: str) -> None:
    names, _ = names_and_prose(ROOT / path)
    assert any(Banned(word=word, in_names_only=True).in_name(name) for name, _ in names)
