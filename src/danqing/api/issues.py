"""Issues: one entry for every bad field of a body, in zod's words, translated from pydantic's errors."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from danqing.errors import InvalidRequest
from danqing.pictures.prompt_text import NOT_UNICODE

Issue = dict[str, Any]

MAX_NUM_ISSUES = 50
MAX_ECHO_CHARACTERS = 100

# Codes of our own validators, whose context holds all facts of the issue.
OWN_CODES = {"invalid_enum_value", "invalid_string", "too_big", "too_small", "custom"}
JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
    (type(None), "null"),
)
# The type that each of pydantic's type errors expected.
EXPECTED_TYPES = {
    "int_parsing": "integer",
    "int_parsing_size": "integer",
    "datetime_from_date_parsing": "date-time",
    "datetime_parsing": "date-time",
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "string_type": "string",
    "string_unicode": "string",
    "bool_type": "boolean",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "list_type": "array",
    "tuple_type": "array",
}
COMPARISONS = {
    "greater_than_equal": ("too_small", "minimum", "ge", "greater than or equal to"),
    "less_than_equal": ("too_big", "maximum", "le", "less than or equal to"),
}


def invalid_request(issues: Sequence[Issue]) -> InvalidRequest:
    """Return the error that lists the issues, and names them in its message."""
    shown = list(issues[:MAX_NUM_ISSUES])
    sentence = "; ".join(": ".join(filter(None, [path_name(issue["path"]), issue["message"]])) for issue in shown)
    return InvalidRequest(sentence, param=path_name(shown[0]["path"]) or None, issues=shown)


def require_object(value: object) -> dict[str, Any]:
    """Return the value of a body that must be a JSON object. Raises InvalidRequest."""
    if isinstance(value, dict):
        return value
    received = json_type(value)
    message = f"Expected object, received {received}"
    raise invalid_request([issue("invalid_type", [], message, expected="object", received=received)])


def issues_from(
    error: ValidationError, *, schema: Mapping[str, Any], hidden: frozenset[str] = frozenset()
) -> list[Issue]:
    """Translate every error of a body with this JSON schema."""
    return issues_from_details(error.errors(include_url=False), schema=schema, hidden=hidden)


def issues_from_details(
    details: Sequence[Mapping[str, Any]], *, schema: Mapping[str, Any], hidden: frozenset[str] = frozenset()
) -> list[Issue]:
    """Translate every error; `hidden` are parts of pydantic's locations that name no field."""
    return [_issue(detail, schema=schema, hidden=hidden) for detail in details]


def complain(code: str, message: str, **facts: Any) -> PydanticCustomError:
    """Return the error that a validator raises. It becomes an issue with this code and these facts."""
    return PydanticCustomError(code, "{message}", {**facts, "message": message})


def issue(code: str, path: Sequence[str | int], message: str, **facts: Any) -> Issue:
    """Return one issue."""
    return {"code": code, **facts, "path": list(path), "message": message}


def json_type(value: object) -> str:
    """Return the JSON type of a parsed value."""
    return next((name for kind, name in JSON_TYPES if isinstance(value, kind)), "unknown")


def echo(text: str) -> str:
    """Shorten a text of the caller's and escape lone surrogates, so that it can be sent back."""
    shortened = text if len(text) <= MAX_ECHO_CHARACTERS else text[:MAX_ECHO_CHARACTERS] + "…"
    return shortened.encode("utf-8", "backslashreplace").decode()


def path_name(path: Sequence[str | int]) -> str:
    """Join a path as callers write it: image_size.width."""
    return ".".join(str(part) for part in path)


def _issue(detail: Mapping[str, Any], *, schema: Mapping[str, Any], hidden: frozenset[str]) -> Issue:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    path = [echo(part) if isinstance(part, str) else part for part in detail["loc"] if part not in hidden]
    if kind in OWN_CODES:
        return issue(kind, path, detail["msg"], **{name: fact for name, fact in context.items() if name != "message"})
    if kind == "extra_forbidden":
        return issue("unrecognized_keys", path, f"Unrecognized key(s) in object: '{path[-1]}'", keys=path[-1:])
    if kind == "missing":
        expected = _declared_type(schema, path)
        return issue("invalid_type", path, "Required", expected=expected, received="undefined")
    if kind in COMPARISONS:
        return _out_of_range(COMPARISONS[kind], path, context)
    if kind in ("string_too_long", "string_too_short", "too_long", "too_short"):
        return _wrong_length(kind, path, value, context)
    if kind == "string_unicode":
        # Without a path, the name of an unknown field is broken.
        path = path or [echo(value)]
        return issue("invalid_string", path, NOT_UNICODE, validation="unicode")
    if kind in EXPECTED_TYPES:
        expected, received = EXPECTED_TYPES[kind], json_type(value)
        if expected == "integer" and isinstance(value, float):
            received = "float"
        elif expected == "integer" and _declared_type(schema, path) == "number":
            expected = "number"
        return issue(
            "invalid_type", path, f"Expected {expected}, received {received}", expected=expected, received=received
        )
    if kind in ("enum", "literal_error"):
        message = f"Invalid enum value. Expected {context['expected']}, received '{echo(str(value))}'"
        options = re.findall(r"'([^']*)'", context["expected"])
        return issue("invalid_enum_value", path, message, options=options, received=echo(str(value)))
    if kind == "union_tag_not_found":
        received = json_type(value)
        message = f"Expected string or object, received {received}"
        return issue("invalid_type", path, message, expected="string | object", received=received)
    return issue("custom", path, detail["msg"])


def _declared_type(schema: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Return the type that the JSON schema declares at a path."""
    for part in path:
        branches = [schema, *schema.get("anyOf", ())]
        schema = next((branch["properties"][part] for branch in branches if part in branch.get("properties", ())), {})
    return str(schema.get("type", "any"))


def _out_of_range(comparison: tuple[str, str, str, str], path: list[str | int], context: Mapping[str, Any]) -> Issue:
    code, bound_name, context_name, words = comparison
    bound = context[context_name]
    bound = int(bound) if float(bound).is_integer() else bound
    message = f"Number must be {words} {bound}"
    return issue(code, path, message, **{bound_name: bound, "type": "number", "inclusive": True})


def _wrong_length(kind: str, path: list[str | int], value: object, context: Mapping[str, Any]) -> Issue:
    type_name, unit = ("string", "character(s)") if isinstance(value, str) else ("array", "element(s)")
    if kind.endswith("too_long"):
        code, bound_name, bound, words = "too_big", "maximum", context["max_length"], "at most"
    else:
        code, bound_name, bound, words = "too_small", "minimum", context["min_length"], "at least"
    message = f"{type_name.capitalize()} must contain {words} {bound} {unit}"
    return issue(code, path, message, **{bound_name: bound, "type": type_name, "inclusive": True})
