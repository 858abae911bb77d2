"""Aspect buckets: the sizes a checkpoint draws natively, and which one serves a requested size."""

from dataclasses import dataclass

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.tokenizer import Tokenizer


@dataclass(frozen=True)
class Bucket:
    """A native size. `ratio_index` is R of the `<img_ratio_R>` token."""

    ratio_index: int
    height_px: int
    width_px: int


# How many sizes every checkpoint has; the later ones have names for the four more.
NUM_STEPPED_SIZES = 33
# Height and width for a base of 1024, in the order of their numbers.
MORE_SIZES = ((1024, 768), (1280, 720), (768, 1024), (720, 1280))
MOST_SIZES = NUM_STEPPED_SIZES + len(MORE_SIZES)


def all_buckets(base_size_px: int, *, num_sizes: int = NUM_STEPPED_SIZES) -> list[Bucket]:
    """The first `num_sizes` sizes of one base.

    The 33 in steps of a sixteenth of the base come first, from widest (R = 0) to tallest; 3:4, 9:16 and their
    transposes follow.
    """
    step = base_size_px // 16
    shortest, longest = base_size_px // 2, base_size_px * 2
    sizes = {(base_size_px, base_size_px)}
    short, long = base_size_px, base_size_px
    while short > shortest or long < longest:
        short, long = max(short - step, shortest), min(long + step, longest)
        sizes |= {(short, long), (long, short)}
    ordered = sorted(sizes, key=lambda size: size[0] / size[1])
    # All published bases are 1024; a smaller one has the same ratios.
    ordered += [(height * base_size_px // 1024, width * base_size_px // 1024) for height, width in MORE_SIZES]
    return [Bucket(index, height, width) for index, (height, width) in enumerate(ordered[:num_sizes])]


class Buckets:
    """The buckets of one checkpoint whose sides are whole numbers of image tokens.

    In the published weights that is every bucket; a checkpoint with tokens larger than a step has fewer.
    """

    def __init__(self, *, base_size_px: int, pixels_per_token: int, num_sizes: int = NUM_STEPPED_SIZES) -> None:
        self.usable = [
            bucket
            for bucket in all_buckets(base_size_px, num_sizes=num_sizes)
            if bucket.height_px % pixels_per_token == 0 and bucket.width_px % pixels_per_token == 0
        ]

    @classmethod
    def of_checkpoint(cls, config: ModelConfig, tokenizer: Tokenizer) -> "Buckets":
        """The sizes that the vocabulary has names for. Raises CheckpointError naming a missing one of the first 33."""
        # A number beyond the known sizes means nothing to us.
        num_sizes = min(max(tokenizer.num_image_ratios, NUM_STEPPED_SIZES), MOST_SIZES)
        buckets = cls(base_size_px=config.base_size_px, pixels_per_token=config.pixels_per_token, num_sizes=num_sizes)
        for bucket in buckets.usable:
            tokenizer.image_ratio(bucket.ratio_index)
        return buckets

    def nearest(self, *, width_px: int, height_px: int) -> Bucket:
        """The bucket whose height/width is nearest to the requested one; of several, the first."""
        ratio = height_px / width_px
        return min(self.usable, key=lambda bucket: abs(bucket.height_px / bucket.width_px - ratio))
