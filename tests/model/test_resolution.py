"""Aspect buckets: the published list, the wire's presets, and checkpoints with large tokens."""

import pytest

from danqing.hunyuan_image3.resolution import Buckets, all_buckets


def test_the_published_base_has_33_sizes_from_widest_to_tallest() -> None:
    sizes = [(bucket.height_px, bucket.width_px) for bucket in all_buckets(1024)]
    assert len(sizes) == 33
    assert (sizes[0], sizes[16], sizes[-1]) == ((512, 2048), (1024, 1024), (2048, 512))
    ratios = [height / width for height, width in sizes]
    assert ratios == sorted(set(ratios))
    assert [bucket.ratio_index for bucket in all_buckets(1024)] == list(range(33))


def test_sizes_go_in_steps_of_a_sixteenth_until_both_ends_are_reached() -> None:
    wide = [(1024 - 64 * i if i < 8 else 512, 1024 + 64 * i) for i in range(17)]
    assert {(b.height_px, b.width_px) for b in all_buckets(1024)} == {*wide, *((w, h) for h, w in wide)}


@pytest.mark.parametrize("base", [128, 256, 512])
def test_every_base_has_the_same_ratios(base: int) -> None:
    assert [b.height_px / b.width_px for b in all_buckets(base)] == [
        b.height_px / b.width_px for b in all_buckets(1024)
    ]


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (896, 1152), (768, 1280), (1152, 896), (1280, 768)])
def test_every_preset_of_the_wire_is_a_bucket(width: int, height: int) -> None:
    bucket = Buckets(base_size_px=1024, pixels_per_token=16).nearest(width_px=width, height_px=height)
    assert (bucket.width_px, bucket.height_px) == (width, height)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((512, 512), (1024, 1024)), ((640, 384), (1280, 768)), ((4000, 100), (2048, 512)), ((100, 4000), (512, 2048))],
)
def test_any_size_picks_the_bucket_of_the_nearest_ratio(asked: tuple[int, int], expected: tuple[int, int]) -> None:
    bucket = Buckets(base_size_px=1024, pixels_per_token=16).nearest(width_px=asked[0], height_px=asked[1])
    assert (bucket.width_px, bucket.height_px) == expected


def test_published_tokens_fit_every_bucket() -> None:
    assert Buckets(base_size_px=1024, pixels_per_token=16).usable == all_buckets(1024)


def test_large_tokens_leave_only_the_sizes_they_divide() -> None:
    usable = Buckets(base_size_px=512, pixels_per_token=64).usable
    assert all(b.height_px % 64 == 0 and b.width_px % 64 == 0 for b in usable)
    left_out = [b for b in all_buckets(512) if b not in usable]
    assert left_out
    assert all(b.height_px % 64 or b.width_px % 64 for b in left_out)
    # The places in the whole list stay: they are what the ratio tokens mean.
    assert all(all_buckets(512)[b.ratio_index] == b for b in usable)


def test_the_nearest_size_is_a_usable_one() -> None:
    buckets = Buckets(base_size_px=512, pixels_per_token=64)
    for width, height in [(1280, 720), (1152, 896), (333, 777), (1, 9000)]:
        assert buckets.nearest(width_px=width, height_px=height) in buckets.usable
