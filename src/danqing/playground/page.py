"""The playground at `/` and the console at `/console`: their routes. Both pages call the public API like any client."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from danqing.playground.static_page import page_router

STATIC_FOLDER = Path(__file__).parent / "static"
CONSOLE_FOLDER = Path(__file__).parent / "console"


def playground_router(*, megapixel_credits: int) -> APIRouter:
    """Return the routes of the page, with the price that it shows before it submits a request."""
    router = APIRouter(include_in_schema=False)

    @router.get("/playground/price.json")
    async def price() -> Response:
        return JSONResponse({"megapixel_credits": megapixel_credits}, headers={"Cache-Control": "no-cache"})

    router.include_router(page_router(STATIC_FOLDER.iterdir(), page="/", parts="/playground"))
    return router


def console_router() -> APIRouter:
    """Return the routes of the console, which shares parts of the playground's page."""
    return page_router(CONSOLE_FOLDER.iterdir(), page="/console", parts="/console")
