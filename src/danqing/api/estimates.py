"""Estimates: what a generation request would cost, and what would not go as its caller expects, before it is sent."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from danqing.api.auth import ImageReader
from danqing.api.examples import GENERATION_EXAMPLES
from danqing.api.report_bodies import AmountFields, amount_fields
from danqing.api.schema import request_json_schema
from danqing.api.services import ServicesDep
from danqing.api.submissions import read_call

router = APIRouter(tags=["images"])


class EstimateBody(BaseModel):
    """The price that the request would hold, and its warnings."""

    cost: AmountFields
    warnings: list[str]


@router.post(
    "/v1/images/estimate",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": request_json_schema(), "examples": GENERATION_EXAMPLES}},
        }
    },
)
async def estimate(request: Request, services: ServicesDep, caller: ImageReader) -> EstimateBody:
    """Check a generation request without drawing: its price and its warnings. Nothing is charged or stored."""
    call = await read_call(request, services, caller)
    return EstimateBody(
        cost=amount_fields(services.jobs.price_credits(call.submission.request)),
        warnings=list(call.submission.warnings),
    )
