"""Generation requests as HTTP brings them: body and headers, translated into a job's `Submission`."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from danqing.accounts.api_keys import ApiKey
from danqing.api.context import client_request_id
from danqing.api.issues import echo
from danqing.api.json_body import read_json
from danqing.api.responses import ResponseFormat
from danqing.api.services import Services
from danqing.api.validation import validate
from danqing.errors import InvalidRequest
from danqing.jobs.job import Origin, Submission
from danqing.pictures.request import NUM_INFERENCE_STEPS

MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
_IDEMPOTENCY_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_IDEMPOTENCY_KEY_CHARACTERS}}}")
# A preview of every step.
MAX_NUM_PREVIEWS = NUM_INFERENCE_STEPS.most
_SMALL_NUMBER = re.compile(r"[0-9]{1,4}")
ORIGIN_HEADER = "X-Danqing-Origin"
# The key counts for the route, under whichever of its spellings.
GENERATIONS_PATH = "/v1/images/generations"


@dataclass(frozen=True, kw_only=True)
class GenerationCall:
    """A submission, and the form of its response: images, or events with up to `num_partial_images` of each image."""

    submission: Submission
    response_format: ResponseFormat
    stream: bool
    num_partial_images: int


async def read_call(request: Request, services: Services, caller: ApiKey) -> GenerationCall:
    """Read and validate the whole request. Raises what `read_json` and `validate` raise."""
    body = validate(await read_json(request, max_bytes=services.max_body_bytes), aliases=services.model_aliases)
    wanted, warnings = body.fields, body.warnings
    idempotency_key = _idempotency_key(request)
    preferences = _preferences(request)
    respond_async = "respond-async" in preferences
    stream = bool(wanted.stream) and not respond_async
    num_partial_images = wanted.partial_images or 0 if stream or respond_async else 0
    num_previews = max(num_partial_images, _num_previews(preferences) if respond_async else 0)
    if wanted.partial_images and not (stream or respond_async):
        warnings += ("partial_images: has no effect without stream or Prefer: respond-async",)
    with_base64 = wanted.sync_mode or wanted.response_format == "b64_json"
    image_request = wanted.image_request(services.profile, num_previews=num_previews)
    submission = Submission(
        request=services.profile.effective(image_request),
        account_id=caller.account_id,
        api_key_id=caller.prefix,
        origin=_origin(request),
        body_fingerprint=wanted.fingerprint(services.profile, names_format=body.names_format),
        path=GENERATIONS_PATH,
        client_request_id=client_request_id(request),
        idempotency_key=idempotency_key,
        warnings=(*warnings, *services.profile.warnings(image_request)),
        webhook_url=wanted.webhook_url,
        inline_images=with_base64,
        respond_async=respond_async,
        job_id=request.state.inference_id,
    )
    response_format = ResponseFormat(
        base_url=services.base_url(request),
        with_url=wanted.sync_mode or wanted.response_format != "b64_json",
        with_base64=with_base64,
    )
    return GenerationCall(
        submission=submission, response_format=response_format, stream=stream, num_partial_images=num_partial_images
    )


def _idempotency_key(request: Request) -> str | None:
    headers = request.headers.getlist("idempotency-key")
    if len(headers) > 1:
        raise InvalidRequest("Idempotency-Key: must be given once", param="Idempotency-Key")
    header = headers[0] if headers else None
    if header is None:
        return None
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise InvalidRequest(
            f"Idempotency-Key: must be 1 to {MAX_IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters without spaces,"
            f" received '{echo(key)}'",
            param="Idempotency-Key",
        )
    return key


def _preferences(request: Request) -> dict[str, str]:
    """Return the preferences of the header `Prefer`: names in lower case, and their values."""
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    pairs = (preference.partition(";")[0].partition("=") for preference in preferences)
    return {name.strip(): value.strip(' "') for name, _, value in pairs}


def _num_previews(preferences: dict[str, str]) -> int:
    """Return the number of previews of each image that the job's events carry. An invalid preference is ignored."""
    wanted = preferences.get("previews", "")
    return min(int(wanted), MAX_NUM_PREVIEWS) if _SMALL_NUMBER.fullmatch(wanted) else 0


def _origin(request: Request) -> Origin:
    """Return the origin: the playground names itself in a header; every other client uses the API."""
    return Origin.PLAYGROUND if request.headers.get(ORIGIN_HEADER) == Origin.PLAYGROUND else Origin.API
