"""Prices: the cost of an image in credits, and the worth of a credit."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

CREDITS_PER_USD = 2_000_000
MEGAPIXEL_PX = 2**20


@dataclass(frozen=True, kw_only=True)
class Price:
    """Credits per megapixel begun, for each image."""

    megapixel_credits: int = 210_000

    def image_credits(self, *, width_px: int | None, height_px: int | None) -> int:
        """Price one image. A size left to the model costs one megapixel, the most that any of its buckets has."""
        area_px = MEGAPIXEL_PX if width_px is None or height_px is None else width_px * height_px
        return -(-area_px // MEGAPIXEL_PX) * self.megapixel_credits


def usd_from_credits(amount_credits: int) -> Decimal:
    """Convert exactly."""
    return Decimal(amount_credits) / CREDITS_PER_USD


def credits_from_usd(amount_usd: Decimal) -> int:
    """Convert, dropping what is less than a credit."""
    return int((amount_usd * CREDITS_PER_USD).to_integral_value(rounding=ROUND_DOWN))
