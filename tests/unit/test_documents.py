"""The documents agree with the repository: links lead somewhere, named files exist, every error code is described."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from danqing import errors
from danqing.api.errors import FORMS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "danqing"
FOLDERS = ("docs", "src", "mini", "tests", "benchmarks", "proofs", "results", "examples", "deploy")

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# A path as documents write it: folders end in a slash, files in one of our endings.
PATH = re.compile(r"[\w./-]+(?:/|\.(?:py|md|toml|json|safetensors|yml|sh))")


def documents() -> list[Path]:
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md") if "node_modules" not in path.parts]
    return sorted([*ROOT.glob("*.md"), *below])


def links(document: Path) -> Iterator[str]:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            yield target.partition("#")[0]


def named_paths(document: Path) -> Iterator[str]:
    for code in CODE.findall(document.read_text(encoding="utf-8")):
        # "jobs/lifecycle.py: submit" names a function of the file.
        path = code.partition(": ")[0]
        if PATH.fullmatch(path):
            yield path


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    broken = [target for target in links(document) if not (document.parent / target).exists()]
    assert not broken


def test_every_file_that_the_architecture_names_exists() -> None:
    paths = set(named_paths(ROOT / "ARCHITECTURE.md"))
    assert "hunyuan_image3/moe.py" in paths
    missing = [path for path in sorted(paths) if not any((base / path).exists() for base in (ROOT, PACKAGE))]
    assert not missing


def where_is_rows() -> list[tuple[str, str]]:
    """Rows of the architecture's table "Where is …": the thing, and where it is; group headings left out."""
    section = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Where is …")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(thing, place) for thing, place in (row for row in rows[1:] if len(row) == 2)]


@pytest.mark.parametrize(("thing", "where"), where_is_rows(), ids=lambda text: text)
def test_a_thing_that_a_newcomer_looks_for_is_in_the_named_file(thing: str, where: str) -> None:
    """A row names files, and may name in parentheses what to look for in the file before them."""
    files = [code for code in CODE.findall(where) if PATH.fullmatch(code)]
    assert files, f"no file is named for: {thing}"
    for path, name in re.findall(r"`([\w./]+\.py)` \(`(\w+)`\)", where):
        found = next(base / path for base in (PACKAGE, ROOT) if (base / path).is_file())
        assert re.search(rf"\b{name}\b", found.read_text(encoding="utf-8")), f"{path} has no {name}"


@pytest.mark.parametrize(
    "thing",
    [
        "resize to the exact size",
        "ledger statements",
        "PNG, JPEG and the IPTC mark",
        "clean-up of expired files",
        "retry schedule of webhooks",
        "seed of image i",
        "price of an image",
        "refused prompts",
        "HTTP statuses",
        "rate limits",
        "graceful shutdown",
        "a setting",
    ],
)
def test_the_architecture_says_where_to_find(thing: str) -> None:
    assert any(thing in row for row, _ in where_is_rows())


def test_the_api_reference_describes_every_error_code() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ServiceError)]
    codes = {kind.code for kind in classes} | set(FORMS)
    assert "insufficient_credits" in codes
    described = set(CODE.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8")))
    assert not codes - described


def test_every_decision_is_listed_in_the_architecture() -> None:
    listed = set(links(ROOT / "ARCHITECTURE.md"))
    decisions = {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "adr").glob("*.md")}
    assert decisions
    assert not decisions - listed
