"""The playground at `/`: its routes. The page itself calls the public API like any client."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from danqing.playground.static_page import page_router

STATIC_FOLDER = Path(__file__).parent / "static"


def playground_router(*, megapixel_credits: int) -> APIRouter:
    """Return the routes of the page, with the price that it shows before it submits a request."""
    router = APIRouter(include_in_schema=False)

    @router.get("/playground/price.json")
    async def price() -> Response:
        return JSONResponse({"megapixel_credits": megapixel_credits}, headers={"Cache-Control": "no-cache"})

    router.include_router(page_router(STATIC_FOLDER.iterdir(), page="/", parts="/playground"))
    return router
