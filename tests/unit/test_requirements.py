"""The lock file holds every library of the default install, at versions that pyproject.toml allows, and no address."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = {
    canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.]+) \\$", LOCK, re.MULTILINE)
}
REQUIREMENTS = [
    Requirement(line)
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_the_lock_has_a_version_that_is_allowed(requirement: Requirement) -> None:
    # PyTorch's build depends on the machine; it is pinned where it is required.
    if requirement.name == "torch":
        assert "torch" not in LOCKED
    else:
        assert LOCKED[canonicalize_name(requirement.name)] in requirement.specifier, "run: make lock"


def test_every_version_has_hashes_and_no_address() -> None:
    assert len(re.findall(r"\\\n    --hash=sha256:[0-9a-f]{64}", LOCK)) >= len(LOCKED)
    assert "://" not in LOCK
    assert "--index" not in LOCK
