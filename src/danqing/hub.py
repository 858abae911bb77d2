"""The model hub: the files of a checkpoint's repository, their download into a folder, and the check of what came.

huggingface_hub (extra `download`) talks to the hub, `HF_ENDPOINT` if set.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils.tqdm import disable_progress_bars

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.stored_tensors import INDEX_FILE, SINGLE_FILE, shards

# The published checkpoints by the names of this command.
PUBLISHED = {
    "base": "tencent/HunyuanImage-3.0",
    "instruct": "tencent/HunyuanImage-3.0-Instruct",
    "instruct-distil": "tencent/HunyuanImage-3.0-Instruct-Distil",
}
CONFIG_FILE = "config.json"
# Where huggingface_hub puts what is not finished, under names that no other run uses.
UNFINISHED = ".cache/huggingface/download/**/*.incomplete"
MAX_PARALLEL_FILES = 4
READ_BYTES = 1024 * 1024
# Of httpx, under whichever name huggingface_hub has it, and of the operating system.
HUB_ERRORS = cast(tuple[type[Exception], ...], (*HfHubHTTPError.__bases__, RuntimeError))
# Without a token, hubs send 401 for what does not exist.
_NOT_FOUND = "the hub has no such repository, or it is private and HF_TOKEN does not open it"
REFUSALS = {
    401: _NOT_FOUND,
    404: _NOT_FOUND,
    403: "access is refused; accept the conditions on the repository's page of the hub, and set HF_TOKEN",
}


class HubError(Exception):
    """The repository cannot be had; the message is one line and says what to do."""


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file as the hub describes it. Large ones have a `sha256`, others the `git_id` of their contents."""

    path: str
    size_bytes: int
    sha256: str | None
    git_id: str | None


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A checkpoint's repository at one revision."""

    id: str
    revision: str
    licence: str
    files: Sequence[HubFile]

    @property
    def name(self) -> str:
        """Its id without the owner."""
        return self.id.rpartition("/")[2]

    @property
    def size_bytes(self) -> int:
        """The size of all its files."""
        return sum(file.size_bytes for file in self.files)


def find_repository(repository_id: str) -> Repository:
    """Ask the hub for the newest revision. Raises HubError, also for a repository that holds no checkpoint."""
    with _explained(repository_id):
        info = HfApi().model_info(repository_id, files_metadata=True)
    files = tuple(_file(sibling) for sibling in info.siblings or ())
    paths = {file.path for file in files}
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise HubError(f"{repository_id}: holds a file outside of its folder, {path!r}")
    if CONFIG_FILE not in paths or not paths & {INDEX_FILE, SINGLE_FILE}:
        raise HubError(f"{repository_id}: holds no checkpoint; {CONFIG_FILE} and {INDEX_FILE} are needed")
    assert info.sha is not None
    return Repository(id=repository_id, revision=info.sha, licence=_licence(info), files=files)


def missing_bytes(repository: Repository, folder: Path) -> int:
    """Return how much is still to be downloaded into the folder."""
    return sum(file.size_bytes for file in repository.files if _size(folder / file.path) != file.size_bytes)


def free_bytes(folder: Path) -> int:
    """Return the free space where the folder is, or will be."""
    folder = folder.absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def download(repository: Repository, folder: Path, *, show_progress: bool) -> None:
    """Download what the folder lacks. A connection that breaks is resumed in the middle of a file.

    Raises HubError; the same call later downloads the files that are still missing.
    """
    if not show_progress:
        disable_progress_bars()
    with _explained(repository.id):
        _check_index(repository, folder)
        snapshot_download(repository.id, revision=repository.revision, local_dir=folder, max_workers=MAX_PARALLEL_FILES)
    # Left behind by runs that were killed.
    for path in folder.glob(UNFINISHED):
        path.unlink(missing_ok=True)


def check(repository: Repository, folder: Path, *, on_read: Callable[[int], None]) -> None:
    """Compare every file with what the hub says of it; `on_read` takes the number of bytes of each read.

    Raises HubError naming the files that are missing or differ. Those that differ are deleted, so that the next
    download brings them again.
    """
    faults = []
    for file in repository.files:
        path = folder / file.path
        fault = _fault(file, path, on_read=on_read)
        if fault is not None:
            faults.append(f"{file.path}: {fault}")
            path.unlink(missing_ok=True)
    if faults:
        raise HubError(f"{'; '.join(faults)}. Run the command again to download what is wrong or missing")


def _check_index(repository: Repository, folder: Path) -> None:
    """Fetch the index, which is small, and see that the repository has every file that it names."""
    paths = {file.path for file in repository.files}
    if INDEX_FILE not in paths:
        return
    hf_hub_download(repository.id, INDEX_FILE, revision=repository.revision, local_dir=folder)
    try:
        named = {path.name for path in shards(folder)}
    except CheckpointError as error:
        raise HubError(str(error)) from None
    if missing := sorted(named - paths):
        raise HubError(f"{repository.id}: {INDEX_FILE} names {missing[0]}, which the repository does not hold")


def _file(sibling: RepoSibling) -> HubFile:
    if sibling.size is None:
        raise HubError(f"{sibling.rfilename}: the hub does not say how large it is")
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    git_id = None if sibling.lfs else sibling.blob_id
    return HubFile(path=sibling.rfilename, size_bytes=sibling.size, sha256=sha256, git_id=git_id)


def _licence(info: ModelInfo) -> str:
    """The licence in the repository's own words: its name, and where its text is."""
    card = info.card_data
    if card is None or not card.license:
        return "not stated"
    # `license` is "other" where the licence has a name of its own.
    return ", ".join(filter(None, (str(card.license_name or card.license), card.license_link)))


def _fault(file: HubFile, path: Path, *, on_read: Callable[[int], None]) -> str | None:
    size_bytes = _size(path)
    if size_bytes is None:
        return "is missing"
    if size_bytes != file.size_bytes:
        return f"has {size_bytes:,} bytes in place of {file.size_bytes:,}"
    # Git names a file by the hash of its contents after this header.
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
    with path.open("rb") as stream:
        while data := stream.read(READ_BYTES):
            digest.update(data)
            on_read(len(data))
    expected = file.sha256 or file.git_id
    return "has other contents than the hub's" if expected and digest.hexdigest() != expected else None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


@contextmanager
def _explained(repository_id: str) -> Iterator[None]:
    try:
        yield
    except HFValidationError as error:
        raise HubError(f"{repository_id}: is no repository id, OWNER/NAME: {_line(error)}") from None
    except HUB_ERRORS as error:
        refusal = REFUSALS.get(error.response.status_code) if isinstance(error, HfHubHTTPError) else None
        raise HubError(f"{repository_id}: {refusal or _line(error)}") from None


def _line(error: Exception) -> str:
    """The first line of an error, and the name of its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
