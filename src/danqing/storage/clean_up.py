"""The clean-up of stored pictures: deletes those whose lifetime is over, again and again."""

import asyncio
import logging

from danqing.errors import ServiceError
from danqing.storage.image_store import ImageStore

logger = logging.getLogger(__name__)


async def clean_up_for_ever(store: ImageStore, *, interval_seconds: float) -> None:
    """Delete expired pictures every so many seconds, until cancelled."""
    while True:
        try:
            num_deleted = await store.delete_expired()
        except (OSError, ServiceError):
            logger.exception("expired pictures could not be deleted")
        else:
            if num_deleted:
                logger.info("deleted expired pictures", extra={"num_deleted": num_deleted})
        await asyncio.sleep(interval_seconds)
