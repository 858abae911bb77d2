"""Spellings: the ways in which clients write one request, brought to a single one before it is validated.

`null` means absent, options inside `extra_body` are fields, and an alias of the model is the model.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from danqing.api.issues import Issue, echo, issue, json_type
from danqing.pictures.request import MODEL_ID

RESPONSE_FORMATS = ("url", "b64_json")
# Clients of these models read `b64_json` alone. They cannot ask for it: the family refuses `response_format`.
BYTES_ONLY_FAMILIES = ("gpt-image", "chatgpt-image")


@dataclass(frozen=True, kw_only=True)
class ModelAliases:
    """Other names of the model, and the response format of a request that names none."""

    names: Collection[str] = ()
    response_format: str = "url"

    def response_format_of(self, model: object) -> str:
        """Return the format that a client of this model expects."""
        if isinstance(model, str) and model.rpartition("/")[2].startswith(BYTES_ONLY_FAMILIES):
            return "b64_json"
        return self.response_format


@dataclass
class Spelled:
    """The fields of a request under their own names, and what to tell the client of the names it used.

    `names_format` is whether the request itself says in which format it wants its images.
    """

    values: dict[str, Any]
    warnings: list[str]
    issues: list[Issue]
    names_format: bool = True


def unify(body: dict[str, Any], *, aliases: ModelAliases) -> Spelled:
    """Bring a body to one spelling."""
    spelled = Spelled({name: value for name, value in body.items() if value is not None}, [], [])
    _flatten(spelled)
    values = spelled.values
    if values.get("output_format") in RESPONSE_FORMATS:
        _move(spelled, "output_format", "response_format")
    spelled.names_format = "response_format" in values
    values.setdefault("response_format", aliases.response_format_of(values.get("model")))
    if isinstance(values.get("model"), str) and values["model"] in aliases.names:
        spelled.warnings.append(f"model: '{echo(values['model'])}' stands for {MODEL_ID} here")
        values["model"] = MODEL_ID
    return spelled


def _flatten(spelled: Spelled) -> None:
    """Take the options inside `extra_body` as fields. LiteLLM and others send them nested."""
    nested = spelled.values.pop("extra_body", None)
    if nested is None:
        return
    if not isinstance(nested, dict):
        received = json_type(nested)
        message = f"Expected object, received {received}"
        spelled.issues.append(issue("invalid_type", ["extra_body"], message, expected="object", received=received))
        return
    spelled.warnings.append("extra_body: its options were taken as fields of the request")
    for name, value in nested.items():
        if value is None:
            continue
        if spelled.values.setdefault(name, value) != value:
            message = f"`{echo(name)}` also stands outside `extra_body` and differs; send one of them"
            spelled.issues.append(issue("custom", ["extra_body", echo(name)], message))


def _move(spelled: Spelled, name: str, proper_name: str) -> None:
    value = spelled.values.pop(name)
    if spelled.values.setdefault(proper_name, value) != value:
        message = f"`{name}` and `{proper_name}` differ; send one of them"
        spelled.issues.append(issue("custom", [name], message))
