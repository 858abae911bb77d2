"""A house with a past, for looking at the console: a management key, two more keys, and requests of some weeks."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from browser.site import KEY_FILE
from sqlalchemy import Connection, select

from danqing.accounts import credits
from danqing.accounts.api_keys import IMAGE_SCOPE, KeyKind, SpendLimit, create_key
from danqing.accounts.pricing import Price
from danqing.accounts.spend_limits import Retention
from danqing.accounts.tables import api_keys
from danqing.database import Database
from danqing.engine.interface import EngineCrashed
from danqing.first_start import prepare
from danqing.jobs import lifecycle
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.job import JobImage, JobResult, Origin, Submission
from danqing.jobs.lifecycle import Lease
from danqing.pictures.request import ImageRequest
from danqing.settings import Settings

ACCOUNT = "default"
NUM_DAYS = 33
FAILURE_RATE = 0.04
GRANT_CREDITS = 400_000_000
# A path of the store's form, long expired: its files are gone.
PATH = "files/b/6a000000/000000000000000000000.png"


@dataclass(frozen=True)
class Keys:
    """The secrets of the keys that were made."""

    management: str
    shop: str


def furnish(data_dir: Path, *, past: bool) -> Keys:
    """Make the keys and, where wanted, the past: in the database of a running server, or in a new one with a past."""
    settings = Settings(data_dir=data_dir)
    now = datetime.now(UTC)
    if past:
        first_start = prepare(settings, clock=lambda: now - timedelta(days=NUM_DAYS + 1))
        assert first_start is not None
        (data_dir / KEY_FILE).write_text(first_start.key.secret)
    database = Database(settings.database_location)
    try:
        with database.write() as conn:
            boss = create_key(conn, account_id=ACCOUNT, name="console", now=now, kind=KeyKind.MANAGEMENT)
            limit = SpendLimit(retention=Retention.MONTH, threshold_usd=Decimal(100))
            shop = create_key(conn, account_id=ACCOUNT, name="shop", now=now, limit=limit, scopes=(IMAGE_SCOPE,))
            create_key(conn, account_id=ACCOUNT, name="nightly batch", now=now)
            if past:
                _live(conn, now)
        return Keys(management=boss.secret, shop=shop.secret)
    finally:
        database.close()


def _live(conn: Connection, now: datetime) -> None:
    begun = now - timedelta(days=NUM_DAYS, hours=20)
    credits.grant(conn, account_id=ACCOUNT, grant_id="past", amount_credits=GRANT_CREDITS, now=begun)
    chance = random.Random(7)
    prefixes = conn.execute(select(api_keys.c.prefix).where(api_keys.c.kind == KeyKind.API)).scalars().all()
    for days_ago in range(NUM_DAYS, -1, -1):
        for index, prefix in enumerate(prefixes):
            for _ in range(chance.randrange(0, 4 + 3 * index)):
                moment = now - timedelta(days=days_ago, seconds=chance.randrange(1, 40_000))
                _request(
                    conn, prefix, moment, fails=chance.random() < FAILURE_RATE, num_images=chance.choice((1, 1, 4))
                )


def _request(conn: Connection, prefix: str, moment: datetime, *, fails: bool, num_images: int) -> None:
    request = ImageRequest(prompt="Mountains in the mist", seed=7, width_px=1024, height_px=1024, num_images=num_images)
    submission = Submission(
        request=request,
        account_id=ACCOUNT,
        api_key_id=prefix,
        origin=Origin.API,
        body_fingerprint=BodyFingerprint(in_effect="f", as_written="f"),
    )
    lease = Lease(owner="past", expires_at=moment + timedelta(minutes=1))
    job = lifecycle.submit(conn, submission, price=Price(), safety={}, max_running=1, lease=lease, now=moment)
    job = lifecycle.start(conn, job, lease=lease, now=moment + timedelta(seconds=0.4))
    ended = moment + timedelta(seconds=9)
    if fails:
        lifecycle.fail(conn, job, EngineCrashed(), lease_owner="past", now=ended)
        return
    image = {"path": PATH, "width_px": 1024, "height_px": 1024, "content_type": "image/png", "flagged": False}
    images = tuple(
        JobImage(image_index=index, seed=7 + index, revised_prompt=None, **image) for index in range(num_images)
    )
    result = JobResult(images=images, engine="painter", safety={}, warnings=(), expanded_prompt=None)
    lifecycle.succeed(conn, job, result, lease_owner="past", now=ended)
