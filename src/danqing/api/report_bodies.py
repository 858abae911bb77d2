"""Parts that reports share on the wire: how many rows a page may have, amounts and token counts."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from danqing.accounts.pricing import usd_from_credits
from danqing.reports.pages import MAX_PAGE_ROWS

DEFAULT_PAGE_ROWS = 50

PageRows = Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS, description="Rows per page.")]


class AmountFields(BaseModel):
    """An amount in both currencies, never negative."""

    usd: float
    credits: int


class TokenCounts(BaseModel):
    """Tokens of billed requests."""

    input: int
    output: int
    total: int


# Images are not billed by the token.
NO_TOKENS = TokenCounts(input=0, output=0, total=0)


def amount_fields(amount_credits: int) -> AmountFields:
    """Return an amount as rows show it."""
    return AmountFields(usd=float(usd_from_credits(amount_credits)), credits=amount_credits)
