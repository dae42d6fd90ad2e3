"""The id that git gives to a folder of files. Pure; runs in the start script's Python.

A commit names its files by one tree id: a SHA-1 over the names, the executable bits and the contents of everything
below it. Whoever computes the same id from what was unpacked has exactly the files of that commit, wherever they came
from and however they were packed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

FILE, EXECUTABLE, FOLDER = "100644", "100755", "40000"


class Digest(Protocol):
    """What hashlib's objects are."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(frozen=True)
class Blob:
    """One file: its id, and whether it may be run."""

    digest: str
    is_executable: bool = False


def blob_digest(size: int) -> Digest:
    """An object that becomes the id of a file of `size` bytes when it is fed with them."""
    digest = hashlib.sha1(usedforsecurity=False)  # git's own; not a choice of ours
    digest.update(b"blob %d\0" % size)
    return digest


def blob_id(data: bytes) -> str:
    """The id of a file's content."""
    digest = blob_digest(len(data))
    digest.update(data)
    return digest.hexdigest()


def tree_id(files: Mapping[str, Blob]) -> str:
    """The id of the folder that holds `files`, named by their paths with slashes."""
    folders: dict[str, dict[str, Blob]] = {}
    entries: list[tuple[bytes, bytes]] = []
    for path, blob in files.items():
        head, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(head, {})[rest] = blob
        else:
            entries.append(_entry(EXECUTABLE if blob.is_executable else FILE, head, blob.digest))
    for name, below in folders.items():
        entries.append(_entry(FOLDER, name, tree_id(below)))
    content = b"".join(data for _, data in sorted(entries))
    digest = hashlib.sha1(b"tree %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def _entry(mode: str, name: str, digest: str) -> tuple[bytes, bytes]:
    """(what git sorts by, the entry): a folder is sorted as if its name ended with a slash."""
    raw = name.encode("utf-8")
    order = raw + b"/" if mode == FOLDER else raw
    return order, mode.encode("ascii") + b" " + raw + b"\0" + bytes.fromhex(digest)
