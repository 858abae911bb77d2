"""The kinds of values that request bodies are made of, each with its check and its JSON schema.

Strict on purpose: "4" is no number and true is no 1; but 2.0 is 2, because JSON has one kind of number.
"""

import math
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from danqing.api.issues import NOT_UNICODE, complain, echo
from danqing.pictures.request import MAX_PROMPT_CHARACTERS
from danqing.pictures.sizes import AUTO, MAX_SIDE_PX, MIN_SIDE_PX, SizeError, parse_size

ALLOWED_CONTROLS = "\t\n\r"


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
    if value == AUTO:
        return value
    try:
        parse_size(value)
    except SizeError as error:
        match error.limit:
            case None:
                raise complain("invalid_string", str(error), validation="regex") from None
            case limit if limit == MAX_SIDE_PX:
                raise complain("too_big", str(error), maximum=limit, type="number", inclusive=True) from None
            case limit:
                assert limit == MIN_SIDE_PX
                raise complain("too_small", str(error), minimum=limit, type="number", inclusive=True) from None
    return value


WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
RealNumber = Annotated[float, BeforeValidator(_real_number)]
Text = Annotated[str, AfterValidator(_plain_text)]
# The described schema gives `negative_prompt` no maximum, so its limit is checked here and not declared.
LimitedText = Annotated[Text, AfterValidator(_limited_prompt)]
SizeText = Annotated[str, AfterValidator(_size)]
