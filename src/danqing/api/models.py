"""The list of models, without a key. It has one entry, whichever checkpoint draws."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from danqing.api.services import ServicesDep
from danqing.errors import ModelNotFound
from danqing.etags import etag_of, names_etag
from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.pictures.request import MODEL_ID

# The day the described model was published, 2025-09-28.
MODEL_CREATED = 1_759_017_600
MODEL: dict[str, Any] = {
    "id": MODEL_ID,
    "object": "model",
    "created": MODEL_CREATED,
    "owned_by": "hunyuan",
    "type": "openai/image-generations",
    "info": {
        "name": "Hunyuan Image v3",
        "developer": "Tencent",
        "description": "Text to image with the HunyuanImage-3.0 architecture, self-hosted.",
        "contextLength": None,
        "url": None,
    },
    "features": [],
    "endpoints": ["/v1/images/generations"],
    "tags": ["playground:image"],
}

router = APIRouter(tags=["models"], prefix="/v1/models")


@router.get("")
async def list_models(request: Request, services: ServicesDep) -> Response:
    """List the models."""
    return _cacheable(request, {"object": "list", "data": [_model(services.profile)]})


@router.get("/{model_id:path}")
async def read_model(model_id: str, request: Request, services: ServicesDep) -> Response:
    """Describe a model, also under an alias."""
    if model_id != MODEL_ID and model_id not in services.model_aliases.names:
        raise ModelNotFound(param="model")
    return _cacheable(request, _model(services.profile))


def _model(profile: CheckpointProfile) -> dict[str, Any]:
    """Return the entry, with the defaults of the checkpoint that draws."""
    return {**MODEL, "info": {**MODEL["info"], "defaults": profile.defaults}}


def _cacheable(request: Request, body: dict[str, Any]) -> Response:
    content = json.dumps(body).encode()
    etag = etag_of(content)
    headers = {"ETag": etag, "Cache-Control": "public, max-age=300"}
    if names_etag(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
