"""Accessibility as axe-core sees it, which npm fetches."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

AXE_PACKAGE = "axe-core@4"
SERIOUS = ("serious", "critical")


def install_axe(folder: Path) -> str:
    """Return the source of axe-core, or skip the test where npm cannot fetch it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core comes with npm, which is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), AXE_PACKAGE]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if installed.returncode:
        pytest.skip(f"npm could not fetch {AXE_PACKAGE}: {installed.stderr[-200:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


async def findings(page: Page, axe: str) -> list[str]:
    """What axe-core calls serious or worse."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    # All nodes of violations and one of each other kind: describing every node that passed is half of the work.
    report: dict[str, Any] = await page.evaluate("axe.run({ resultTypes: ['violations'], preload: false })")
    assert len(report["passes"]) > 10
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in report["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
