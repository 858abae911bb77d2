"""OpenAPI descriptions of the bodies that the framework does not read itself."""

from typing import Any

from pydantic import BaseModel

from danqing.api.event_stream import EVENT_STREAM_CONTENT
from danqing.api.examples import GENERATION_EXAMPLES
from danqing.api.schema import request_json_schema
from danqing.pictures.request import STEP_REUSES

IMAGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "The URL where the file can be downloaded from."},
        "b64_json": {"type": "string", "description": "The base64-encoded JSON of the generated image."},
        "seed": {"type": "integer"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "content_type": {"type": "string"},
        "flagged": {"type": "boolean"},
        "revised_prompt": {"type": "string"},
    },
}
GENERATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "data": {"type": "array", "items": IMAGE_SCHEMA, "description": "The list of generated images."},
        "meta": {
            "type": "object",
            "properties": {
                "usage": {
                    "type": "object",
                    "properties": {
                        "credits_used": {
                            "type": "number",
                            "description": "The number of tokens consumed during generation.",
                        },
                        "usd_spent": {"type": "number"},
                    },
                    "required": ["credits_used"],
                },
                "engine": {"type": ["string", "null"]},
                "warnings": {"type": "array", "items": {"type": "string"}},
                "safety": {"type": "object"},
                "parameters": {
                    "type": "object",
                    "properties": {
                        "num_images": {"type": "integer"},
                        "seed": {"type": "integer"},
                        "image_size": {
                            "type": "object",
                            "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}},
                        },
                        "num_inference_steps": {"type": "integer"},
                        "guidance_scale": {"type": "number"},
                        "step_reuse": {"type": "string", "enum": list(STEP_REUSES)},
                    },
                    "description": "What the images were drawn with, under the request's field names.",
                },
            },
            "description": "Additional details about the generation.",
        },
    },
    "required": ["created", "model", "data", "meta"],
}


class ErrorFields(BaseModel):
    """The error itself; `data` lists every bad field."""

    name: str
    message: str
    type: str
    code: str
    param: str | None
    data: list[dict[str, Any]] | dict[str, Any] = []


class ErrorBody(BaseModel):
    """The body of every error."""

    title: str
    status: int
    statusCode: int
    message: str
    instance: str
    path: str
    requestId: str
    timestamp: str
    error: ErrorFields


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a JSON body with this schema."""
    return {"application/json": {"schema": schema}}


ERROR_RESPONSE: dict[str, Any] = {"model": ErrorBody, "description": "An error; every error has this body."}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}


# The operation's parameters for the framework's decorator.
GENERATION_DOCUMENT: dict[str, Any] = {
    "openapi_extra": {
        "parameters": [
            _header("Prefer", "`respond-async`: respond at once with a job, which is read and followed by its id."),
            _header("Idempotency-Key", "The same key and body: the same response, charged once. Kept for 24 hours."),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": request_json_schema(), "examples": GENERATION_EXAMPLES}},
        },
    },
    "responses": {
        200: {
            "description": "The images, or with `stream` a stream of events.",
            "content": {**json_content(GENERATION_SCHEMA), **EVENT_STREAM_CONTENT},
        },
        202: {
            "description": "With `Prefer: respond-async`: the job, to be fetched later.",
            "content": json_content(
                {
                    "type": "object",
                    "properties": {"id": {"type": "string"}, "status": {"type": "string"}},
                    "required": ["id", "status"],
                }
            ),
        },
    },
}


def json_request(kind: type[BaseModel], *, example: dict[str, Any], required: bool = True) -> dict[str, Any]:
    """Return the description of a body that the handler reads itself and validates against this model."""
    schema = kind.model_json_schema()
    inlined = _inlined(schema, schema.pop("$defs", {}))
    content = {"application/json": {"schema": inlined, "example": example}}
    return {"requestBody": {"required": required, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put definitions in place of references, which would be looked up at the root of the document."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(part, definitions) for name, part in schema.items()}
