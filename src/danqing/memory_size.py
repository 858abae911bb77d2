"""Sizes of memory as people write them: `12GB` (10^9 bytes each), `12GiB` (2^30 each), or plain bytes."""

import re

UNITS = {"": 1, "B": 1, "MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Z]*)")


def memory_size(value: object) -> int:
    """The bytes meant. Raises ValueError saying what is allowed."""
    match = FORM.fullmatch(str(value).strip().upper())
    if match is None or match[2] not in UNITS:
        raise ValueError("must be a size such as 12GB, 12GiB or a number of bytes")
    return int(float(match[1]) * UNITS[match[2]])
