"""The API reference at `/docs`: Swagger UI over /openapi.json, from an installed package.

FastAPI's own page loads Swagger UI from another host. That fails offline, and tells the host who reads the page.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter

from danqing.playground.static_page import page_router

REFERENCE_FOLDER = Path(__file__).parent / "reference"
SWAGGER_PACKAGE = "fastapi_offline"
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


def reference_router() -> APIRouter:
    """Return the routes of the page."""
    swagger_folder = Path(str(files(SWAGGER_PACKAGE))) / "static"
    paths = [*REFERENCE_FOLDER.iterdir(), *(swagger_folder / name for name in SWAGGER_FILES)]
    return page_router(paths, page="/docs", parts="/docs")
