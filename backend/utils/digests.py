"""Which bytes a file holds, by hash. Runs in the service process, on threads: gigabytes take seconds.

Two kinds: SHA-256, and the id that git gives a file, which is all that a hub states for a small file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Digest:
    """`kind` and its lower-case hex."""

    kind: Literal["sha256", "git-sha1"]
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


def digest_of_etag(etag: str | None) -> Digest | None:
    """What a hub's entity tag says of the bytes: 64 hex digits are a SHA-256, 40 a git id, others nothing."""
    plain = (etag or "").strip().removeprefix("W/").strip('"').lower()
    if re.fullmatch(r"[0-9a-f]{64}", plain, re.ASCII):
        return Digest("sha256", plain)
    if re.fullmatch(r"[0-9a-f]{40}", plain, re.ASCII):
        return Digest("git-sha1", plain)
    return None


class HashingStopped(Exception):
    """Nobody waits for the hash any more."""


def hash_file(
    path: Path,
    *,
    stopped: Callable[[], bool] = lambda: False,
    read: Callable[[int], None] = lambda _bytes: None,
) -> tuple[Digest, Digest]:
    """SHA-256 and git id of a file. `read(n)` hears of every n bytes. Raises OSError, HashingStopped."""
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    # Git ids are only ever stated for small files; for large ones they would double the time.
    is_small = size <= SMALL_BYTES
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if stopped():
                raise HashingStopped
            sha256.update(chunk)
            if is_small:
                git.update(chunk)
            read(len(chunk))
    return Digest("sha256", sha256.hexdigest()), Digest("git-sha1", git.hexdigest() if is_small else "")


# Hubs keep files beyond 10 MB outside of git.
SMALL_BYTES = 64 << 20
