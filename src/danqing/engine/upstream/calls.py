"""A call to an upstream server: the body that asks for one image, in the fields that the server understands."""

from collections.abc import Mapping
from dataclasses import dataclass

from danqing.engine.upstream.server import ServerKind, UpstreamServer
from danqing.hunyuan_image3.resolution import Buckets
from danqing.pictures.request import NO_STEP_REUSE, ImageRequest
from danqing.pictures.sizes import AUTO

# The published checkpoints draw these sizes, with tokens of 16 pixels.
PUBLISHED_BUCKETS = Buckets(base_size_px=1024, pixels_per_token=16)
# Of a server that cannot choose one.
DEFAULT_SIDE_PX = 1024
# The most that a stream may have of one image.
MAX_PARTIAL_IMAGES = 3


@dataclass(frozen=True, kw_only=True)
class Call:
    """The body that asks for one image, and what the server will not honour.

    The size is the one that must come back; both sides are None where the server chooses.
    """

    body: Mapping[str, object]
    width_px: int | None
    height_px: int | None
    warnings: tuple[str, ...] = ()


def call_for(request: ImageRequest, *, image_index: int, server: UpstreamServer) -> Call:
    """Return the call for one image: image i is image 0 of the seed plus i."""
    if server.kind is ServerKind.DANQING:
        return _danqing_call(request, image_index, server)
    body: dict[str, object] = {"model": server.model, "prompt": request.prompt, "n": 1, "response_format": "b64_json"}
    if server.kind.takes_settings:
        body |= _settings(request, image_index)
        # The start noise of a seed is then the same as everywhere else.
        body |= {"generator_device": "cpu", "output_format": "png"}
    if request.width_px is None or request.height_px is None:
        width_px = height_px = DEFAULT_SIDE_PX
    else:
        bucket = PUBLISHED_BUCKETS.nearest(width_px=request.width_px, height_px=request.height_px)
        width_px, height_px = bucket.width_px, bucket.height_px
    body["size"] = f"{width_px}x{height_px}"
    return Call(body=body, width_px=width_px, height_px=height_px, warnings=tuple(_warnings(request, server.kind)))


def _danqing_call(request: ImageRequest, image_index: int, server: UpstreamServer) -> Call:
    width_px, height_px = request.width_px, request.height_px
    every = request.preview_every_steps
    num_previews = min(MAX_PARTIAL_IMAGES, (request.num_inference_steps - 1) // every) if every else 0
    body = {
        "model": server.model,
        "prompt": request.prompt,
        "num_images": 1,
        # Exactly this size, which is fitted there as it would be here.
        "size": AUTO if width_px is None or height_px is None else f"{width_px}x{height_px}",
        "output_format": "png",
        "response_format": "b64_json",
        "enable_safety_checker": request.enable_safety_checker,
        "stream": True,
        "partial_images": num_previews,
        # Not the other server's own default: `meta` here could not tell of it.
        "step_reuse": NO_STEP_REUSE,
        **_settings(request, image_index),
    }
    return Call(body=body, width_px=width_px, height_px=height_px)


def _settings(request: ImageRequest, image_index: int) -> dict[str, object]:
    return {
        "seed": request.image_seed(image_index),
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "negative_prompt": request.negative_prompt,
    }


def _warnings(request: ImageRequest, kind: ServerKind) -> list[str]:
    warnings = []
    if request.width_px is None:
        warnings.append(f"image_size: {kind} cannot choose one; drawn at {DEFAULT_SIDE_PX}x{DEFAULT_SIDE_PX}")
    if not kind.takes_settings:
        ignored = "seed, num_inference_steps, guidance_scale, negative_prompt"
        warnings.append(f"{ignored}: have no effect; the server behind this one speaks {kind} alone")
    elif kind is ServerKind.VLLM_OMNI and request.negative_prompt:
        warnings.append(f"negative_prompt: has no effect; {kind} does not pass it to this model")
    return warnings
