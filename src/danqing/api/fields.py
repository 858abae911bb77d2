"""The kinds of values that request bodies are made of, each with its check and its JSON schema.

Strict on purpose: "4" is no number and true is no 1; but 2.0 is 2, because JSON has one kind of number.
"""

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from danqing.api.issues import NOT_UNICODE, complain, echo

MAX_PROMPT_CHARACTERS = 4000
MIN_SIDE_PX = 64
MAX_SIDE_PX = 2048

ALLOWED_CONTROLS = "\t\n\r"
_SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


@dataclass(frozen=True)
class OneOf:
    """Marks a string that must be one of the options."""

    options: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the option after the string."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the options to the string's schema."""
        return {**handler(schema), "enum": list(self.options)}

    def _check(self, value: str) -> str:
        if value in self.options:
            return value
        expected = " | ".join(f"'{option}'" for option in self.options)
        message = f"Invalid enum value. Expected {expected}, received '{echo(value)}'"
        raise complain("invalid_enum_value", message, options=list(self.options), received=echo(value))


def _whole_number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _real_number(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def _plain_text(value: str) -> str:
    for char in value:
        category = unicodedata.category(char)
        if category == "Cs":
            raise complain("invalid_string", NOT_UNICODE, validation="unicode")
        if category == "Cc" and char not in ALLOWED_CONTROLS:
            message = f"Must not contain control characters other than tab and line ends; found U+{ord(char):04X}"
            raise complain("invalid_string", message, validation="regex")
    return value


def _limited_prompt(value: str) -> str:
    if len(value) > MAX_PROMPT_CHARACTERS:
        message = f"String must contain at most {MAX_PROMPT_CHARACTERS} character(s)"
        raise complain("too_big", message, maximum=MAX_PROMPT_CHARACTERS, type="string", inclusive=True)
    return value


def _size(value: str) -> str:
    if value != "auto":
        parse_size(value)
    return value


def parse_size(value: str) -> tuple[int, int]:
    """Read "WIDTHxHEIGHT"."""
    match = _SIZE.fullmatch(value)
    if match is None:
        message = 'Must be "WIDTHxHEIGHT", such as "1280x768", or "auto"'
        raise complain("invalid_string", message, validation="regex")
    width_px, height_px = int(match[1]), int(match[2])
    for name, side_px in (("Width", width_px), ("Height", height_px)):
        if side_px > MAX_SIDE_PX:
            message = f"{name} must be less than or equal to {MAX_SIDE_PX}"
            raise complain("too_big", message, maximum=MAX_SIDE_PX, type="number", inclusive=True)
        if side_px < MIN_SIDE_PX:
            message = f"{name} must be greater than or equal to {MIN_SIDE_PX}"
            raise complain("too_small", message, minimum=MIN_SIDE_PX, type="number", inclusive=True)
    return width_px, height_px


WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
RealNumber = Annotated[float, BeforeValidator(_real_number)]
Text = Annotated[str, AfterValidator(_plain_text)]
# The described schema gives `negative_prompt` no maximum, so its limit is checked here and not declared.
LimitedText = Annotated[Text, AfterValidator(_limited_prompt)]
SizeText = Annotated[str, AfterValidator(_size)]
