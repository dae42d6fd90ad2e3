"""Unpacks a source archive that nobody vouches for yet. Standard library; start script's Python.

Flow: tar.gz -> every entry checked before a byte of it is written -> files below one folder, each with its git id. An
archive that holds anything but plain files and folders in one top folder is refused: links, devices, absolute paths,
`..`, names that Windows reads as something else, two names that are one on its disks, more than was agreed on.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from installer.git_tree import Blob, blob_digest

_BLOCK = 1 << 20
# Characters that Windows reads as a drive, a stream or a separator, or refuses.
_FORBIDDEN = set('\\:*?"<>|') | {chr(code) for code in range(32)}
_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
# git's own folder holds programs that git starts; no archive of a commit has one.
_GIT = ".git"


class UnpackError(Exception):
    """The archive is broken or holds what it must not. `is_broken`: fetching it anew may help."""

    def __init__(self, message: str, *, is_broken: bool = False) -> None:
        super().__init__(message)
        self.is_broken = is_broken


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold at most."""

    files: int
    total_bytes: int


def unpack(
    archive: Path, into: Path, bounds: Bounds, *, enter: Callable[[str], None] = lambda path: None
) -> dict[str, Blob]:
    """Put the files of `archive` below `into`, without the archive's own top folder; returns them by path.

    `enter` is called with each path before it is written. Raises UnpackError, and OSError of the disk.
    """
    files: dict[str, Blob] = {}
    names = _Names()
    tops: set[str] = set()
    size = 0
    try:
        with tarfile.open(archive, "r|gz") as packed:
            for entry in packed:
                top, path = _checked(entry)
                tops.add(top)
                if len(tops) > 1:
                    raise UnpackError("it holds more than one top folder")
                if path is None or entry.isdir():
                    continue
                size += entry.size
                if len(files) >= bounds.files or size > bounds.total_bytes:
                    raise UnpackError(
                        f"it holds more than {bounds.files} files or {bounds.total_bytes} bytes"
                    )
                names.claim(path)
                enter(path)
                source = packed.extractfile(entry)
                if source is None:
                    raise UnpackError(f"{path!r} has no content")
                files[path] = _written(source, into / path, entry)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UnpackError(f"it is damaged: {error}", is_broken=True) from error
    except UnicodeError as error:
        raise UnpackError(f"it holds a name that is no text: {error}") from error
    if not files:
        raise UnpackError("it is empty", is_broken=True)
    return files


def _checked(entry: tarfile.TarInfo) -> tuple[str, str | None]:
    """(top folder, path below it) of an entry that may be unpacked; None: the top folder itself."""
    if not (entry.isreg() or entry.isdir()):
        raise UnpackError(f"{entry.name!r} is neither a file nor a folder")
    name = entry.name.rstrip("/") if entry.isdir() else entry.name
    name.encode("utf-8")
    parts = name.split("/")
    if any(_is_bad(part) for part in parts):
        raise UnpackError(f"{entry.name!r} is not a name that may be unpacked")
    if len(parts) == 1 and not entry.isdir():
        raise UnpackError(f"{entry.name!r} does not lie in the archive's top folder")
    return parts[0], str(PurePosixPath(*parts[1:])) if len(parts) > 1 else None


def _is_bad(part: str) -> bool:
    return (
        part in ("", ".", "..")
        or part.casefold() == _GIT
        or bool(_FORBIDDEN & set(part))
        or part[-1] in " ."
        or part.partition(".")[0].casefold() in _DEVICES
    )


class _Names:
    """The paths so far, as a disk sees them that does not tell capitals apart."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def claim(self, path: str) -> None:
        """Take `path` for a file; refuse one that is another file, or a folder, or has a file for a folder."""
        key = path.casefold()
        is_taken = key in self._files or key in self._folders
        for folder in PurePosixPath(path).parents:
            name = str(folder)
            is_taken |= name.casefold() in self._files
            is_taken |= self._folders.setdefault(name.casefold(), name) != name
        if is_taken:
            raise UnpackError(f"{path!r} is in it twice, or differs from another name only in capitals")
        self._files.add(key)


def _written(source: IO[bytes], target: Path, entry: tarfile.TarInfo) -> Blob:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = blob_digest(entry.size)
    left = entry.size
    with target.open("xb") as file:
        while left > 0:
            block = source.read(min(_BLOCK, left))
            if not block:
                raise UnpackError(f"{entry.name!r} is cut off", is_broken=True)
            left -= len(block)
            digest.update(block)
            file.write(block)
    is_executable = bool(entry.mode & 0o100)
    target.chmod(0o755 if is_executable else 0o644)
    return Blob(digest.hexdigest(), is_executable)
