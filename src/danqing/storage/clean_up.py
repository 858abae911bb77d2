"""The clean-up: deletes expired images at a fixed interval."""

import asyncio
import logging

from danqing.errors import ServiceError
from danqing.storage.image_store import ImageStore

logger = logging.getLogger(__name__)


async def clean_up_for_ever(store: ImageStore, *, interval_seconds: float) -> None:
    """Delete expired images every `interval_seconds`, until cancelled."""
    while True:
        try:
            num_deleted = await store.delete_expired()
        except (OSError, ServiceError):
            logger.exception("expired images could not be deleted")
        else:
            if num_deleted:
                logger.info("deleted expired images", extra={"num_deleted": num_deleted})
        await asyncio.sleep(interval_seconds)
