"""Validation of generation requests: every bad field, every conflict, and warnings of what has no effect."""

from dataclasses import dataclass

from pydantic import ValidationError

from danqing.api.fields import UNION_TAGS, CustomSize
from danqing.api.issues import Issue, echo, invalid_request, issue, issues_from, require_object
from danqing.api.schema import GenerationBody, request_json_schema
from danqing.api.spellings import ModelAliases, unify
from danqing.errors import ModelNotFound

MAX_NAMED_WARNINGS = 20


@dataclass(frozen=True, kw_only=True)
class ValidBody:
    """The fields of a valid body, whether it names the format of the response itself, and warnings for the response."""

    fields: GenerationBody
    names_format: bool
    warnings: tuple[str, ...]


def validate(body: object, *, aliases: ModelAliases) -> ValidBody:
    """Validate a parsed body.

    Raises InvalidRequest with every bad field, or ModelNotFound when only the model is wrong.
    """
    spelled = unify(require_object(body), aliases=aliases)
    try:
        fields = GenerationBody.model_validate(spelled.values)
    except ValidationError as error:
        issues = spelled.issues + issues_from(error, schema=request_json_schema(), hidden=UNION_TAGS)
        if len(issues) == 1 and issues[0]["path"] == ["model"] and issues[0]["code"] == "invalid_enum_value":
            raise _unknown_model(echo(spelled.values["model"]), issues) from None
        raise invalid_request(issues) from None
    issues = spelled.issues + _conflicts(fields)
    if issues:
        raise invalid_request(issues)
    warnings = (*spelled.warnings, *_ignored_fields(fields))
    return ValidBody(fields=fields, names_format=spelled.names_format, warnings=warnings)


def _unknown_model(name: str, issues: list[Issue]) -> ModelNotFound:
    message = (
        f"The model '{name}' does not exist. GET /v1/models lists what there is."
        " The operator can allow other names with DANQING_MODEL_ALIASES."
    )
    return ModelNotFound(message, param="model", issues=issues)


def _conflicts(fields: GenerationBody) -> list[Issue]:
    given = fields.model_fields_set
    conflicts = []
    if fields.n is not None and "num_images" in given and fields.n != fields.num_images:
        message = "`n` and `num_images` mean the same and differ; send one of them"
        conflicts.append(issue("custom", ["n"], message))
    if fields.size is not None and "image_size" in given:
        named = fields.model_copy(update={"size": None}).size_px
        if fields.size_px != named:
            message = "`size` and `image_size` mean the same and differ; send one of them"
            conflicts.append(issue("custom", ["size"], message))
    return conflicts


def _ignored_fields(fields: GenerationBody) -> list[str]:
    unknown = list(fields.model_extra or {})
    if isinstance(fields.image_size, CustomSize):
        unknown += [f"image_size.{name}" for name in fields.image_size.model_extra or {}]
    warnings = [f"{echo(name)}: unknown field, ignored" for name in unknown[:MAX_NAMED_WARNINGS]]
    if len(unknown) > MAX_NAMED_WARNINGS:
        warnings.append(f"{len(unknown) - MAX_NAMED_WARNINGS} more unknown fields, ignored")
    if fields.output_compression is not None and fields.output_format == "png":
        warnings.append("output_compression: has no effect on a PNG")
    return warnings
