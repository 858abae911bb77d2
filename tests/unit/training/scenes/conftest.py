"""Pictures need the emoji font: where it is missing, the tests that draw are skipped and say so."""

import pytest

from danqing.training.scenes.sprites import EmojiFontMissing, emoji_font


@pytest.fixture(scope="session")
def emoji_font_installed() -> None:
    try:
        emoji_font()
    except EmojiFontMissing as missing:
        pytest.skip(str(missing))
