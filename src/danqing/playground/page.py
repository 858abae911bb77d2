"""Serves the page at `/`; the page itself asks /v1 like any client."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from danqing.playground.static_page import page_router

STATIC_FOLDER = Path(__file__).parent / "static"


def playground_router(*, megapixel_credits: int) -> APIRouter:
    """The routes of the page, which says the price before it asks for a picture."""
    router = APIRouter(include_in_schema=False)

    @router.get("/playground/price.json")
    async def price() -> Response:
        return JSONResponse({"megapixel_credits": megapixel_credits}, headers={"Cache-Control": "no-cache"})

    router.include_router(page_router(STATIC_FOLDER.iterdir(), page="/", parts="/playground"))
    return router
