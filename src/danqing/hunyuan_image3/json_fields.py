"""Fields of a checkpoint's JSON files, checked one by one; every error names the file and the key."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.stand_ins import stand_in

T = TypeVar("T")


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object. Raises CheckpointError naming the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: file not found; a checkpoint folder must contain it") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {stand_in(path) or f'cannot be read as JSON: {error}'}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: must hold a JSON object")
    return value


def take(values: Mapping[str, Any], key: str, kind: type[T], *, where: str = "config.json") -> T:
    """The value of `key`, which must be there and of this kind; a whole number serves as a float."""
    if key not in values:
        raise CheckpointError(f"{where}: key {key!r} is missing")
    value = values[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # type: ignore[return-value]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CheckpointError(f"{where}: key {key!r} must be {kind.__name__}, not {value!r}")
    return value


def count(values: Mapping[str, Any], key: str, *, where: str = "config.json", minimum: int = 1) -> int:
    """A whole number of at least `minimum`."""
    number = take(values, key, int, where=where)
    if number < minimum:
        raise CheckpointError(f"{where}: key {key!r} must be at least {minimum}, not {number}")
    return number


def require(values: Mapping[str, Any], key: str, allowed: Any, *, default: Any, where: str = "config.json") -> None:
    """Refuse any value but `allowed`; an absent key counts as `default`."""
    value = values.get(key, default)
    if value != allowed:
        raise CheckpointError(f"{where}: {key!r} is {value!r}; this runtime implements only {allowed!r}")
