"""Aspect buckets: the published list, the wire's presets, and checkpoints with large tokens."""

import pytest
from tiny_checkpoints import PARITY, config_values

from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.resolution import MOST_SIZES, Bucket, Buckets, all_buckets
from danqing.hunyuan_image3.tokenizer import Tokenizer


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


def test_four_more_sizes_follow_the_33() -> None:
    buckets = all_buckets(1024, num_sizes=MOST_SIZES)
    assert buckets[:33] == all_buckets(1024)
    assert buckets[33:] == [
        Bucket(33, 1024, 768),
        Bucket(34, 1280, 720),
        Bucket(35, 768, 1024),
        Bucket(36, 720, 1280),
    ]


def test_a_smaller_base_has_the_same_four_ratios() -> None:
    assert all_buckets(256, num_sizes=MOST_SIZES)[33] == Bucket(33, 256, 192)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((1920, 1080), 36), ((1280, 720), 36), ((1600, 900), 36), ((720, 1280), 34), ((1080, 1920), 34),
        ((1024, 768), 35), ((600, 800), 33),
    ],
)  # fmt: skip
def test_common_screen_sizes_go_to_the_four_more(asked: tuple[int, int], expected: int) -> None:
    buckets = Buckets(base_size_px=1024, pixels_per_token=16, num_sizes=MOST_SIZES)
    assert buckets.nearest(width_px=asked[0], height_px=asked[1]).ratio_index == expected


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (896, 1152), (768, 1280), (1152, 896), (1280, 768)])
def test_the_presets_of_the_wire_keep_their_buckets_among_37(width: int, height: int) -> None:
    both = [
        Buckets(base_size_px=1024, pixels_per_token=16, num_sizes=num_sizes).nearest(width_px=width, height_px=height)
        for num_sizes in (33, MOST_SIZES)
    ]
    assert both[0] == both[1]


def test_of_several_equally_near_sizes_the_first_wins() -> None:
    buckets = Buckets(base_size_px=1024, pixels_per_token=16)
    first = Bucket(0, 100, 100)
    buckets.usable = [first, Bucket(1, 200, 200)]
    assert buckets.nearest(width_px=7, height_px=7) == first


@pytest.mark.parametrize(("case", "num_sizes"), [("instruct", 33), ("distil", 37)])
def test_a_checkpoint_has_as_many_sizes_as_its_tokenizer_has_names_for(case: str, num_sizes: int) -> None:
    config = parse_model_config(config_values(image_base_size=1024))
    tokenizer = Tokenizer.from_file(PARITY / case / "tokenizer.json")
    assert len(Buckets.of_checkpoint(config, tokenizer).usable) == num_sizes


class NamesOnly:
    """A vocabulary with so many size numbers."""

    def __init__(self, num_image_ratios: int) -> None:
        self.num_image_ratios = num_image_ratios

    def image_ratio(self, ratio_index: int) -> int:
        if ratio_index >= self.num_image_ratios:
            raise CheckpointError(f"<img_ratio_{ratio_index}> is missing")
        return ratio_index


@pytest.mark.parametrize(("num_names", "num_sizes"), [(33, 33), (34, 34), (37, 37), (38, 37)])
def test_names_without_a_known_size_are_left_alone(num_names: int, num_sizes: int) -> None:
    config = parse_model_config(config_values(image_base_size=1024))
    assert len(Buckets.of_checkpoint(config, NamesOnly(num_names)).usable) == num_sizes  # type: ignore[arg-type]


def test_one_of_the_33_names_missing_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="<img_ratio_20> is missing"):
        Buckets.of_checkpoint(parse_model_config(config_values()), NamesOnly(20))  # type: ignore[arg-type]
