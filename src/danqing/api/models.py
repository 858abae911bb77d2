"""The list of models and the list of deprecations, without a key. There is one model, whichever checkpoint draws."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from danqing.api.deprecations import DEPRECATIONS, DeprecationBody, select_deprecations
from danqing.api.periods import wire_time
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

MAX_AGE_SECONDS = 300

router = APIRouter(tags=["models"], prefix="/v1/models")


@router.get("")
async def list_models(request: Request, services: ServicesDep) -> Response:
    """List the models."""
    return _cacheable(request, {"object": "list", "data": [_model(services.profile)]})


@router.get("/deprecations", response_model=DeprecationBody)
async def list_deprecations(
    request: Request,
    services: ServicesDep,
    status: Annotated[
        list[str], Query(default_factory=list, description="`deprecated`, `superseded`, `withdrawn`; may be repeated.")
    ],
    since: Annotated[str | None, Query(description="Only what was announced at this moment or later.")] = None,
) -> Response:
    """List the models that are to go or gone, newest first. A filter that cannot be read filters nothing."""
    selected = select_deprecations(DEPRECATIONS, statuses=status, since=since)
    data = [one.model_dump(mode="json") for one in selected]
    body = {"object": "list", "generated_at": wire_time(services.clock()), "data": data}
    # Weak, because `generated_at` differs where the tag is the same.
    return _cacheable(request, body, etag="W/" + etag_of(json.dumps(data).encode()))


@router.get("/{model_id:path}")
async def read_model(model_id: str, request: Request, services: ServicesDep) -> Response:
    """Describe a model, also under an alias."""
    if model_id != MODEL_ID and model_id not in services.model_aliases.names:
        raise ModelNotFound(param="model")
    return _cacheable(request, _model(services.profile))


def _model(profile: CheckpointProfile) -> dict[str, Any]:
    """Return the entry, with the defaults of the checkpoint that draws, and the fields without effect there."""
    return {
        **MODEL,
        "info": {
            **MODEL["info"],
            "defaults": profile.defaults,
            "without_effect": profile.without_effect,
            "has_vocabulary": profile.vocabulary is not None,
        },
    }


def _cacheable(request: Request, body: dict[str, Any], *, etag: str | None = None) -> Response:
    content = json.dumps(body).encode()
    etag = etag or etag_of(content)
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
    if names_etag(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
