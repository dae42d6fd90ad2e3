"""Files of downloaded models: where they lie, which of them are right, and taking them away. Service process.

Below `data/models/<folder>/`. A file counts as right only while its marker (`<name>.verified`, a small JSON) agrees
with its size and time of change: the marker is written after the whole file was hashed, so a listing hashes
nothing and still never believes a file because of its name. All functions block; callers use threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.model import ModelFileState, VerifiedBy
from backend.models.model_catalogue import CatalogueFile, CatalogueModel
from backend.storage.blobs import make_folder
from backend.utils.digests import Digest
from backend.utils.downloader import NOTE_SUFFIX, PART_SUFFIX

MARKER_SUFFIX = ".verified"
ADOPTED_SUFFIX = ".adopted" + PART_SUFFIX
_ALL_SUFFIXES = ("", PART_SUFFIX, NOTE_SUFFIX, ADOPTED_SUFFIX, MARKER_SUFFIX, MARKER_SUFFIX + ".new")
_MARKER_LIMIT = 4096


@dataclass(frozen=True)
class Marker:
    """What was found when the file was hashed."""

    bytes: int
    mtime_ns: int
    sha256: str
    by: VerifiedBy
    source: str | None


@dataclass(frozen=True)
class FileLook:
    """One file at one moment. `have_bytes` counts the part file where the whole is not there yet."""

    file: CatalogueFile
    state: ModelFileState
    have_bytes: int
    marker: Marker | None


class ModelFiles:
    """The folder of all models."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Hashed and found wrong, by size and time of change, so that it is not hashed again for each listing.
        self._wrong: dict[Path, tuple[int, int]] = {}

    def folder(self, model: CatalogueModel) -> Path:
        return self.root / model.folder

    def path(self, model: CatalogueModel, file: CatalogueFile) -> Path:
        """Where the file belongs. The catalogue's own rules keep both names inside; links are the user's."""
        return self.root / model.folder / file.path

    def look(self, model: CatalogueModel) -> tuple[FileLook, ...]:
        """The state of every file, by size, time and marker."""
        return tuple(self._look_at(model, file) for file in model.files)

    def _look_at(self, model: CatalogueModel, file: CatalogueFile) -> FileLook:
        path = self.path(model, file)
        found = _stat(path)
        if found is None:
            part = _stat(path.with_name(path.name + PART_SUFFIX))
            if part is None or not part.st_size:
                return FileLook(file, "absent", 0, None)
            return FileLook(file, "partial", min(part.st_size, file.bytes or part.st_size), None)
        marker = _read_marker(path)
        if file.bytes is not None and found.st_size != file.bytes:
            return FileLook(file, "damaged", 0, None)
        if marker is not None and file.sha256 in (None, marker.sha256):
            if (found.st_size, found.st_mtime_ns) == (marker.bytes, marker.mtime_ns):
                return FileLook(file, "ready", found.st_size, marker)
            if found.st_size != marker.bytes:
                return FileLook(file, "damaged", 0, marker)
        if self._wrong.get(path) == (found.st_size, found.st_mtime_ns):
            return FileLook(file, "damaged", 0, marker)
        # Put there by somebody, or touched since: its bytes decide.
        return FileLook(file, "unchecked", found.st_size, marker)

    def is_ready(self, model: CatalogueModel) -> bool:
        return all(look.state == "ready" for look in self.look(model))

    def mark(
        self, model: CatalogueModel, file: CatalogueFile, sha256: str, by: VerifiedBy, source: str | None
    ) -> None:
        """Note that the whole file was hashed just now and is right."""
        path = self.path(model, file)
        found = path.stat()
        marker = {
            "bytes": found.st_size,
            "mtime_ns": found.st_mtime_ns,
            "sha256": sha256,
            "by": by,
            "source": source,
        }
        target = path.with_name(path.name + MARKER_SUFFIX)
        fresh = target.with_name(target.name + ".new")
        # Not synced: a marker that a power cut takes away costs one more hash.
        fresh.write_text(json.dumps(marker), encoding="utf-8")
        fresh.replace(target)

    def unmark(self, model: CatalogueModel, file: CatalogueFile) -> None:
        """Forget that the file was right; its bytes must be looked at again."""
        path = self.path(model, file)
        path.with_name(path.name + MARKER_SUFFIX).unlink(missing_ok=True)

    def mark_wrong(self, model: CatalogueModel, file: CatalogueFile) -> None:
        """Note that the file was hashed just now and is not the right one."""
        path = self.path(model, file)
        found = path.stat()
        self._wrong[path] = (found.st_size, found.st_mtime_ns)

    def drop_damaged(self, model: CatalogueModel, file: CatalogueFile) -> None:
        """Take away a file that is not the right one, so that nobody uses it."""
        self.unmark(model, file)
        path = self.path(model, file)
        path.unlink(missing_ok=True)
        self._wrong.pop(path, None)

    def delete(self, model: CatalogueModel, file: CatalogueFile) -> int:
        """Remove a file with its marker and what is left of a download; returns the bytes that were there.

        Raises RequestError(not_ready) when a program holds it (Windows).
        """
        path = self.path(model, file)
        freed = 0
        try:
            for suffix in _ALL_SUFFIXES:
                victim = path.with_name(path.name + suffix)
                found = _stat(victim)
                if found is not None:
                    freed += found.st_size
                    victim.unlink(missing_ok=True)
        except PermissionError as error:
            raise RequestError(
                ErrorCode.NOT_READY,
                "A file of this model is in use and cannot be deleted now.",
                hint="Wait until no job uses it, or restart the service, and try again.",
            ) from error
        self._prune(path.parent)
        return freed

    def _prune(self, folder: Path) -> None:
        while self.root in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or gone already
            folder = folder.parent

    def make_room_for(self, model: CatalogueModel, file: CatalogueFile) -> Path:
        """The file's path, with its folder made."""
        path = self.path(model, file)
        make_folder(path.parent)
        return path

    def free_bytes(self) -> int:
        make_folder(self.root)
        return shutil.disk_usage(self.root).free


def expected_digest(file: CatalogueFile, marker: Marker | None) -> Digest | None:
    """The SHA-256 that a file must have: the pinned one, else the one that was found at the hub."""
    if file.sha256 is not None:
        return Digest("sha256", file.sha256)
    return Digest("sha256", marker.sha256) if marker is not None else None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat() if path.is_file() else None
    except FileNotFoundError:
        return None


def _read_marker(path: Path) -> Marker | None:
    marker = path.with_name(path.name + MARKER_SUFFIX)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        if marker.stat().st_size > _MARKER_LIMIT:
            return None
        read = json.loads(marker.read_text(encoding="utf-8"))
        source = read["source"]
        return Marker(
            bytes=int(read["bytes"]),
            mtime_ns=int(read["mtime_ns"]),
            sha256=str(read["sha256"]),
            by="pinned" if read["by"] == "pinned" else "hub",
            source=str(source) if source is not None else None,
        )
    return None
