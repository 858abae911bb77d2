"""Types of the fields in request bodies, each with its validation and its JSON schema.

They are strict: "4" and true are no numbers. But 2.0 is 2, because JSON has one kind of number.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from danqing.api.issues import complain, echo
from danqing.pictures.prompt_text import NotText, clean_text, is_blank
from danqing.pictures.request import MAX_PROMPT_CHARACTERS
from danqing.pictures.sizes import (
    AUTO,
    MAX_SIDE_PX,
    MIN_SIDE_PX,
    PRESETS_PX,
    SideTooLarge,
    SideTooSmall,
    SizeError,
    parse_size,
)

_DIGITS_X_DIGITS = re.compile(r"[0-9]+x[0-9]+")


def no_option(value: str, *, options: tuple[str, ...]) -> PydanticCustomError:
    """Return the error of a string that is none of the options."""
    expected = " | ".join(f"'{option}'" for option in options)
    message = f"Invalid enum value. Expected {expected}, received '{echo(value)}'"
    return complain("invalid_enum_value", message, options=list(options), received=echo(value))


@dataclass(frozen=True)
class OneOf:
    """A string that must be one of the options."""

    options: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate the string first, then the option."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the string's schema with the options."""
        return {**handler(schema), "enum": list(self.options)}

    def _check(self, value: str) -> str:
        if value not in self.options:
            raise no_option(value, options=self.options)
        return value


def _whole_number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _real_number(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def _text(value: str) -> str:
    try:
        return clean_text(value)
    except NotText as error:
        raise complain("invalid_string", str(error), validation="unicode") from None


def _visible(value: str) -> str:
    if is_blank(value):
        message = "String must contain at least 1 visible character"
        raise complain("too_small", message, minimum=1, type="string", inclusive=True)
    return value


def _limited_prompt(value: str) -> str:
    if len(value) > MAX_PROMPT_CHARACTERS:
        message = f"String must contain at most {MAX_PROMPT_CHARACTERS} character(s)"
        raise complain("too_big", message, maximum=MAX_PROMPT_CHARACTERS, type="string", inclusive=True)
    return value


def _size(value: str) -> str:
    try:
        parse_size(value)
    except SideTooLarge as error:
        raise complain("too_big", str(error), maximum=MAX_SIDE_PX, type="number", inclusive=True) from None
    except SideTooSmall as error:
        raise complain("too_small", str(error), minimum=MIN_SIDE_PX, type="number", inclusive=True) from None
    except SizeError as error:
        raise complain("invalid_string", str(error), validation="regex") from None
    return value


def _image_size(value: str) -> str:
    # A preset; or, as OpenAI's `size` has them, "auto" and "WIDTHxHEIGHT".
    if value in PRESETS_PX:
        return value
    if value == AUTO or _DIGITS_X_DIGITS.fullmatch(value):
        return _size(value)
    raise no_option(value, options=tuple(PRESETS_PX))


def _image_size_tag(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    return "custom" if isinstance(value, dict | CustomSize) else None


WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
RealNumber = Annotated[float, BeforeValidator(_real_number)]
Text = Annotated[str, AfterValidator(_text)]
Prompt = Annotated[Text, AfterValidator(_visible)]
# The described schema gives `negative_prompt` no maximum, so its limit is checked here and not declared.
LimitedText = Annotated[Text, AfterValidator(_limited_prompt)]
SizeText = Annotated[str, AfterValidator(_size)]
Side = Annotated[WholeNumber, Field(ge=MIN_SIDE_PX, le=MAX_SIDE_PX)]


class CustomSize(BaseModel):
    """A size in pixels; the image has exactly this size."""

    model_config = ConfigDict(extra="allow", strict=True)

    width: Side
    height: Side


# Parts of pydantic's error locations that name no field.
UNION_TAGS = frozenset({"text", "custom"})
ImageSize = Annotated[
    Annotated[str, AfterValidator(_image_size), Tag("text")] | Annotated[CustomSize, Tag("custom")],
    Discriminator(_image_size_tag),
    # The described schema does not state the limits of a side; `CustomSize` checks them.
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(PRESETS_PX)},
                {
                    "type": "object",
                    "properties": {"width": {"type": "number"}, "height": {"type": "number"}},
                    "required": ["width", "height"],
                },
            ]
        }
    ),
]
