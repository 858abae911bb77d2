"""Aspect buckets: the sizes a checkpoint draws natively, and which one serves a requested size. Integers only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bucket:
    """A native size. `ratio_index` is R of the `<img_ratio_R>` token."""

    ratio_index: int
    height_px: int
    width_px: int


def all_buckets(base_size_px: int) -> list[Bucket]:
    """All sizes of one base, from widest (R = 0) to tallest, in steps of a sixteenth of the base."""
    step = base_size_px // 16
    shortest, longest = base_size_px // 2, base_size_px * 2
    sizes = {(base_size_px, base_size_px)}
    short, long = base_size_px, base_size_px
    while short > shortest or long < longest:
        short, long = max(short - step, shortest), min(long + step, longest)
        sizes |= {(short, long), (long, short)}
    ordered = sorted(sizes, key=lambda size: size[0] / size[1])
    return [Bucket(index, height, width) for index, (height, width) in enumerate(ordered)]


class Buckets:
    """The buckets of one checkpoint whose sides are whole numbers of image tokens.

    In the published weights that is every bucket; a checkpoint with tokens larger than a step has fewer.
    """

    def __init__(self, *, base_size_px: int, pixels_per_token: int) -> None:
        self.usable = [
            bucket
            for bucket in all_buckets(base_size_px)
            if bucket.height_px % pixels_per_token == 0 and bucket.width_px % pixels_per_token == 0
        ]

    def nearest(self, *, width_px: int, height_px: int) -> Bucket:
        """The bucket whose height/width is nearest to the requested one."""
        ratio = height_px / width_px
        return min(self.usable, key=lambda bucket: abs(bucket.height_px / bucket.width_px - ratio))
