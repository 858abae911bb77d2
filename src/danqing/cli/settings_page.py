"""The generator of docs/settings.md: `python -m danqing.cli.settings_page` prints the page."""

import sys
import types
import typing
from pathlib import Path

from pydantic import HttpUrl, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

from danqing.settings import ENVIRONMENT_PREFIX, Settings

HEADER = """# Settings

Every setting of the server is an environment variable. `python -m danqing.cli.settings_page` generates this page from
`src/danqing/settings.py`; a test compares the two.

| variable | values | default | what it does |
|---|---|---|---|
"""
TYPE_NAMES: dict[object, str] = {
    bool: "`true` or `false`",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    HttpUrl: "URL",
    SecretStr: "text",
    IPvAnyNetwork: "networks, separated by commas",
    types.NoneType: "",
    ...: "",
}


def settings_page() -> str:
    """Return the page as Markdown."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return HEADER + "".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    assert field.description, f"the setting {name} has no description"
    variable = f"`{ENVIRONMENT_PREFIX}{name.upper()}`"
    return f"| {variable} | {_values(field.annotation)} | {_default(field)} | {field.description} |\n"


def _values(annotation: object) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return _values(typing.get_args(annotation)[0])
    parts = typing.get_args(annotation)
    return ", ".join(filter(None, map(_values, parts))) if parts else TYPE_NAMES[annotation]


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        # Only the data folder has a default that depends on the user.
        return "`~/.local/share/danqing`"
    if isinstance(field.default, bool):
        return f"`{field.default}`".lower()
    return "unset" if field.default in (None, ()) else f"`{field.default}`"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
