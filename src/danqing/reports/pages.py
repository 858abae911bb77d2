"""Pages of a report: how many rows one may have, and the cursor that continues where it ended."""

import base64
import binascii
from datetime import datetime

from danqing.errors import InvalidRequest

MAX_PAGE_ROWS = 100

_NOT_OURS = "cursor: not one that a page ended with"


def require_limit(limit: int) -> None:
    """Raise InvalidRequest for a limit out of range."""
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise InvalidRequest(f"limit: 1 to {MAX_PAGE_ROWS}", param="limit")


def write_cursor(created_at: datetime, row_id: str) -> str:
    """Return the cursor of a page that ended with this row."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {row_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the moment and the id of the row that a page ended with.

    Raises InvalidRequest for anything but the exact text that `write_cursor` returns for such a row.
    """
    try:
        created_at, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        moment = datetime.fromisoformat(created_at)
        # Moments at the ends of the calendar leave it in another time zone.
        outside = moment.tzinfo is None or not 1970 <= moment.year <= 9000
    except (binascii.Error, ValueError):
        raise InvalidRequest(_NOT_OURS, param="cursor") from None
    # PostgreSQL stores no NUL in a text.
    if outside or not row_id.isprintable() or write_cursor(moment, row_id) != cursor:
        raise InvalidRequest(_NOT_OURS, param="cursor")
    return moment, row_id
