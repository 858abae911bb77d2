"""Stand-ins: what downloads leave where a file of a checkpoint should be, told by the first bytes."""

from pathlib import Path

NUM_BYTES = 64


def stand_in(path: Path) -> str | None:
    """What the file is instead of itself and what to do about it; None for anything else."""
    with path.open("rb") as file:
        start = file.read(NUM_BYTES).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
    if start.startswith((b"<!doctype", b"<html")):
        return "is a web page, not the file itself; the download was refused, often for lack of a login or licence"
    return None
