"""Model files that lie on this computer already: in a Hugging Face cache, or in folders that the user names.

Runs in the service process, on threads. A candidate is found by its exact size (in a Hugging Face cache by the hash
that is its name), proved by hashing it, and taken over by a hard link, or by a copy where links cannot be made.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backend.models.model_catalogue import CatalogueFile
from backend.storage.model_files import ADOPTED_SUFFIX
from backend.utils.digests import hash_file

# A folder of models holds thousands of files; whoever names the root of a disk gets an answer all the same.
MAX_FILES = 200_000
MAX_DEPTH = 8
# Of one size, these many are hashed before a download is the shorter way.
MAX_CANDIDATES = 3
# Small files are the same size by chance, and are fetched faster than they are looked for.
MIN_BYTES = 1 << 16

_SHA256_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass
class Stock:
    """What lies on this computer, by what a file can be told by. Names and sizes only: nothing is hashed yet."""

    by_hash: dict[str, list[Path]] = field(default_factory=dict)
    by_size: dict[int, list[Path]] = field(default_factory=dict)
    # Blobs of hub caches by (repository, path there): the blob's name is the hash that the hub stated once.
    by_place: dict[tuple[str, str], Path] = field(default_factory=dict)

    def candidates(self, size_bytes: int, sha256: str) -> list[Path]:
        """Files that may hold these bytes, those with the right name first."""
        same_size = self.by_size.get(size_bytes, []) if size_bytes >= MIN_BYTES else []
        return [*self.by_hash.get(sha256, ()), *same_size][:MAX_CANDIDATES]


def take_stock(hub_caches: Iterable[Path], folders: Iterable[Path], stopped: Callable[[], bool]) -> Stock:
    """Look through hub caches and folders."""
    stock = Stock()
    for cache in hub_caches:
        for blob in _blobs(cache):
            stock.by_hash.setdefault(blob.name, []).append(blob)
        for place, blob in _snapshot_files(cache):
            stock.by_place.setdefault(place, blob)
    for folder in folders:
        for candidate, size in _files(folder, stopped):
            if size >= MIN_BYTES:
                same = stock.by_size.setdefault(size, [])
                if len(same) < MAX_CANDIDATES:
                    same.append(candidate)
    return stock


def adopt(file: CatalogueFile, candidates: Iterable[Path], target: Path, stopped: Callable[[], bool]) -> bool:
    """Put the first candidate that holds the right bytes to `target`. Raises HashingStopped, OSError (disk full)."""
    for candidate in candidates:
        try:
            if candidate.stat().st_size != file.bytes:
                continue
            sha256, _git = hash_file(candidate, stopped=stopped)
        except OSError:
            continue  # locked, or gone since it was found
        if sha256.value == file.sha256:
            _take_over(candidate, target)
            return True
    return False


def _take_over(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ADOPTED_SUFFIX)
    fresh.unlink(missing_ok=True)
    try:
        # A link of the file itself, also where the candidate is a link to it.
        os.link(source.resolve(), fresh)
    except OSError:  # another disk, or a file system without links
        try:
            shutil.copyfile(source, fresh)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    fresh.replace(target)


def _blobs(cache: Path) -> Iterator[Path]:
    """`models--owner--name/blobs/<sha256>` of a hub cache."""
    try:
        yield from (
            blob
            for blob in cache.glob("models--*/blobs/*")
            if _SHA256_NAME.fullmatch(blob.name) and blob.is_file()
        )
    except OSError:
        return


def _snapshot_files(cache: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """`models--owner--name/snapshots/<commit>/<path>`, a link to a blob that is named by its SHA-256."""
    try:
        for file in cache.glob("models--*/snapshots/*/**/*"):
            if file.is_symlink() and _SHA256_NAME.fullmatch(file.resolve().name) and file.is_file():
                repo, _, _, *path = file.relative_to(cache).parts
                yield (repo.removeprefix("models--").replace("--", "/", 1), "/".join(path)), file.resolve()
    except OSError:
        return


def _files(folder: Path, stopped: Callable[[], bool]) -> Iterator[tuple[Path, int]]:
    """Plain files below a folder with their sizes; links are not followed, what cannot be read is left out."""
    waiting, seen = [(folder, 0)], 0
    while waiting and seen < MAX_FILES and not stopped():
        here, depth = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH:
                            waiting.append((Path(entry.path), depth + 1))
                    elif entry.is_file(follow_symlinks=False):
                        yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
