"""Checksums of a folder: a file `SHA256SUMS` in the format of `sha256sum`, which can check it too."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from danqing.hunyuan_image3.errors import CheckpointError

CHECKSUMS_FILE = "SHA256SUMS"
CHUNK_BYTES = 1 << 20


def checksum(path: Path, *, on_read: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file in hexadecimal digits; `on_read` is told the bytes of each chunk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            if on_read:
                on_read(len(chunk))
    return digest.hexdigest()


def write_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    """Record the checksum of each file, by its path in the folder."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(checksums.items()))
    (folder / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def recorded_checksums(folder: Path) -> dict[Path, str]:
    """The files that are recorded and their checksums. Raises CheckpointError without a record."""
    path = folder / CHECKSUMS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: file not found; only folders made by `danqing model convert` have it") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    recorded = {}
    for line in lines:
        digest, gap, name = line.partition("  ")
        if not gap or Path(name).is_absolute() or ".." in Path(name).parts:
            raise CheckpointError(f"{path}: cannot be read: {line[:100]!r} is not a checksum and a file name")
        recorded[folder / name] = digest
    return recorded


def verify(folder: Path, *, on_read: Callable[[int], None] | None = None) -> int:
    """Read every recorded file; returns how many there are. Raises CheckpointError naming the first that changed."""
    recorded = recorded_checksums(folder)
    for path, digest in recorded.items():
        try:
            found = checksum(path, on_read=on_read)
        except FileNotFoundError:
            raise CheckpointError(f"{path}: file not found, though {CHECKSUMS_FILE} names it") from None
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
        if found != digest:
            raise CheckpointError(f"{path}: has changed since it was written: its SHA-256 is not the recorded one")
    return len(recorded)
