"""The server behind an upstream engine: what kind it is, which model it serves, and whether it can draw now."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
import msgspec

MAX_HEALTH_BYTES = 1 << 20
VERSION_PATH = "/v1"


class ServerKind(StrEnum):
    """A kind of server, by the fields that it understands."""

    DANQING = "Danqing"
    VLLM_OMNI = "vLLM-Omni"
    SGLANG = "SGLang"
    OPENAI = "OpenAI's API"

    @property
    def takes_settings(self) -> bool:
        """Whether a request may name seed, steps, guidance and negative prompt."""
        return self is not ServerKind.OPENAI


@dataclass(frozen=True, kw_only=True)
class UpstreamServer:
    """A server that can draw. `model` is the name to ask for, `description` says which checkpoint draws."""

    kind: ServerKind
    model: str
    description: str


class ServerUnready(Exception):
    """The server cannot draw now; the message says why and holds no address."""


# What owners of models are called in the lists of these servers.
_KINDS_BY_OWNER = {"vllm": ServerKind.VLLM_OMNI, "sglang": ServerKind.SGLANG}


async def look(client: httpx.AsyncClient, base_url: str, *, model: str | None) -> UpstreamServer:
    """Ask a server what it is. `model` is the name that the operator gave it. Raises ServerUnready.

    Danqing says at /readyz whether it can draw, vLLM-Omni and SGLang at /health. A server with neither is judged by
    its list of models.
    """
    try:
        readiness = await _get(client, f"{base_url}/readyz")
        if _is_danqing(readiness):
            return await _danqing(client, base_url, readiness, model=model)
        health = await _get(client, f"{base_url}/health")
        if health.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ServerUnready(f"its /health has status {health.status_code}")
        listed = await _first_model(client, base_url)
    except httpx.TimeoutException:
        raise ServerUnready("it does not respond in time") from None
    except httpx.HTTPError:
        raise ServerUnready("it cannot be reached") from None
    owner = str(listed.get("owned_by", "")).lower()
    kind = next((kind for start, kind in _KINDS_BY_OWNER.items() if owner.startswith(start)), ServerKind.OPENAI)
    name = model or str(listed["id"])
    return UpstreamServer(kind=kind, model=name, description=name)


async def _danqing(
    client: httpx.AsyncClient, base_url: str, readiness: httpx.Response, *, model: str | None
) -> UpstreamServer:
    fields = _json(readiness)
    if readiness.status_code != httpx.codes.OK:
        raise ServerUnready(str(fields["error"].get("message", "it is not ready")))
    name = model or str((await _first_model(client, base_url))["id"])
    description = fields.get("model", fields["engine"])
    return UpstreamServer(kind=ServerKind.DANQING, model=name, description=str(description))


def _is_danqing(readiness: httpx.Response) -> bool:
    fields = _json(readiness)
    if readiness.status_code == httpx.codes.OK:
        return fields.get("status") == "ready" and "engine" in fields
    return readiness.status_code == httpx.codes.SERVICE_UNAVAILABLE and isinstance(fields.get("error"), dict)


async def _first_model(client: httpx.AsyncClient, base_url: str) -> dict[str, Any]:
    response = await _get(client, f"{base_url}{VERSION_PATH}/models")
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ServerUnready("it refuses DANQING_UPSTREAM_API_KEY")
    models = _json(response).get("data")
    if response.status_code != httpx.codes.OK or not isinstance(models, list):
        raise ServerUnready(f"its {VERSION_PATH}/models has status {response.status_code} and lists no model")
    for listed in models:
        if isinstance(listed, dict) and "id" in listed:
            return listed
    raise ServerUnready("it serves no model")


async def _get(client: httpx.AsyncClient, url: str) -> httpx.Response:
    async with client.stream("GET", url) as response:
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_HEALTH_BYTES:
                raise ServerUnready(f"a response about its health is larger than {MAX_HEALTH_BYTES} bytes")
    return httpx.Response(response.status_code, content=body)


def _json(response: httpx.Response) -> dict[str, Any]:
    """The fields of a JSON object; none for any other body."""
    try:
        fields = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
