"""Prices and the worth of a credit."""

from decimal import Decimal

import pytest

from danqing.accounts.pricing import Price, credits_from_usd, usd_from_credits


@pytest.mark.parametrize(
    ("width_px", "height_px", "credits"),
    [
        (1280, 768, 210_000),
        (1024, 1024, 210_000),
        (1024, 1025, 420_000),
        (2048, 2048, 840_000),
        (64, 64, 210_000),
        (None, None, 210_000),
    ],
)
def test_an_image_costs_by_the_megapixel_begun(width_px, height_px, credits):
    assert Price().image_credits(width_px=width_px, height_px=height_px) == credits


def test_the_price_is_a_setting():
    assert Price(megapixel_credits=0).image_credits(width_px=1280, height_px=768) == 0


def test_a_dollar_is_two_million_credits():
    assert usd_from_credits(210_000) == Decimal("0.105")
    assert credits_from_usd(Decimal("0.105")) == 210_000
    assert credits_from_usd(Decimal("0.0000009")) == 1
