"""Ways to compress a PNG: `python benchmarks/encoding.py PICTURE ...`.

Prints processor time and size of each of zlib's strategies and levels, as a share of what the service uses.
"""

import argparse
import io
import time
import zlib
from pathlib import Path

from PIL import Image

from danqing.pictures.encoding import PNG_STRATEGY

STRATEGIES = {"default": zlib.Z_DEFAULT_STRATEGY, "filtered": zlib.Z_FILTERED, "runs": zlib.Z_RLE}
STRATEGIES |= {"huffman": zlib.Z_HUFFMAN_ONLY}
# The strategies without a search for earlier strings ignore the level.
LEVELS = {"default": (1, 4, 6), "filtered": (1, 4, 6), "runs": (1,), "huffman": (1,)}
RUNS = 3


def encode(image: Image.Image, *, strategy: int, level: int) -> tuple[float, int]:
    """Processor seconds, the least of several runs, and bytes."""
    seconds = []
    for _ in range(RUNS):
        buffer = io.BytesIO()
        start = time.process_time()
        image.save(buffer, "PNG", compress_level=level, compress_type=strategy)
        seconds.append(time.process_time() - start)
    return min(seconds), len(buffer.getvalue())


def measure(images: list[Image.Image], *, strategy: int, level: int) -> tuple[float, int]:
    """Seconds and bytes of all images."""
    seconds, num_bytes = zip(*(encode(image, strategy=strategy, level=level) for image in images), strict=True)
    return sum(seconds), sum(num_bytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    images = [Image.open(path).convert("RGB") for path in parser.parse_args().pictures]
    used_seconds, used_bytes = measure(images, strategy=PNG_STRATEGY, level=1)
    print(f"{'in use':12} {1000 * used_seconds / len(images):6.0f} ms {used_bytes / len(images) / 1024:7.0f} KiB a picture")
    for name, strategy in STRATEGIES.items():
        for level in LEVELS[name]:
            seconds, num_bytes = measure(images, strategy=strategy, level=level)
            print(f"{name:9} {level:2} {seconds / used_seconds:6.2f} x time {num_bytes / used_bytes:5.2f} x size")


if __name__ == "__main__":
    main()
