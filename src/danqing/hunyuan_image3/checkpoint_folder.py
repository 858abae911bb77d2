"""A checkpoint's folder before its files are read: its name for people, and what is wrong with the folder itself."""

import re
from pathlib import Path

from danqing.hunyuan_image3.errors import CheckpointError

CONFIG_FILE = "config.json"
# In a folder that `danqing model convert` has not finished.
CONVERSION_FILE = "conversion.json"
# A download cache of the model hub: `models--ORGANISATION--NAME/snapshots/HASH`.
HUB_FOLDER_PREFIX = "models--"
SNAPSHOTS_FOLDER = "snapshots"
REPOSITORY_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def checkpoint_name(folder: Path) -> str:
    """The folder's name; for a snapshot in a hub cache, that of its repository."""
    folder = folder.absolute()
    repository = folder.parent.parent.name
    if folder.parent.name == SNAPSHOTS_FOLDER and repository.startswith(HUB_FOLDER_PREFIX):
        return repository.rpartition("--")[2]
    return folder.resolve().name if folder.name == ".." else folder.name


def check_folder(folder: Path) -> None:
    """Raise CheckpointError, with what to do, unless the folder has the configuration that every checkpoint has."""
    try:
        _check(folder)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be read: {error.strerror}") from error


def _check(folder: Path) -> None:
    if (folder / CONVERSION_FILE).is_file():
        raise CheckpointError(
            f"{folder / CONVERSION_FILE}: this conversion is not finished; run the same `danqing model convert` again"
        )
    if (folder / CONFIG_FILE).is_file():
        return
    if folder.is_file():
        raise CheckpointError(f"{folder}: is a file; give the folder that holds it")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder{_repository_hint(folder)}")
    if snapshots := _snapshots(folder):
        raise CheckpointError(f"{folder}: is a hub cache; give the folder of one snapshot, such as {snapshots[0]}")
    if not any(folder.iterdir()):
        raise CheckpointError(f"{folder}: the folder is empty")
    inner = sorted(path.parent for path in folder.glob(f"*/{CONFIG_FILE}"))
    hint = f"; {inner[0]} has one" if inner else "; a checkpoint folder must contain it"
    raise CheckpointError(f"{folder / CONFIG_FILE}: file not found{hint}")


def _snapshots(folder: Path) -> list[Path]:
    parent = folder if folder.name == SNAPSHOTS_FOLDER else folder / SNAPSHOTS_FOLDER
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _repository_hint(folder: Path) -> str:
    if not REPOSITORY_ID.fullmatch(str(folder)):
        return ""
    return (
        f"; if it is the name of a repository on the Hugging Face hub, download it first: "
        f"danqing model download {folder}"
    )
