"""Writes docs/settings.md from the settings: `python -m danqing.cli.settings_page`. Knows no single option."""

import sys
import types
import typing
from pathlib import Path

from pydantic import HttpUrl, SecretStr
from pydantic.fields import FieldInfo

from danqing.settings import ENVIRONMENT_PREFIX, Settings

HEADER = """# Settings

Every option of the server is an environment variable. This page is made from `src/danqing/settings.py` by
`python -m danqing.cli.settings_page`; a test compares the two.

| variable | values | default | what it does |
|---|---|---|---|
"""
TYPE_NAMES: dict[object, str] = {
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    HttpUrl: "URL",
    SecretStr: "text",
    types.NoneType: "",
}


def settings_page() -> str:
    """The whole page."""
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
        # The only one that depends on who asks is the data folder under the home folder.
        return "`~/.local/share/danqing`"
    return "unset" if field.default is None else f"`{field.default}`"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
