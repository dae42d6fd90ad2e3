"""Sorted text tables that are searched in place. Runs in the speech worker.

Flow: an xz file of `key<TAB>value` lines sorted by key bytes -> one `bytes` object -> bisect per look-up.
Why not a dict: the tables hold 180,000 to 390,000 rows; dicts of them cost 60 to 100 MB of memory and a second of
start-up each, the blob costs 2 to 5 MB and 60 ms, and a look-up of 20 µs is nothing beside synthesis.
"""

from __future__ import annotations

import lzma
from pathlib import Path


class SortedLines:
    """One table. Keys and values are text; keys are unique and sorted by their UTF-8 bytes."""

    def __init__(self, blob: bytes) -> None:
        """`blob`: lines `key<TAB>value<LF>`, sorted by key."""
        self._blob = blob

    @classmethod
    def from_file(cls, path: Path) -> SortedLines:
        """Read an xz-compressed table. Raises OSError or lzma.LZMAError when it cannot be read."""
        return cls(lzma.decompress(path.read_bytes()))

    def _lower_bound(self, key: bytes) -> int:
        """Offset of the first line whose key is not below `key`."""
        blob = self._blob
        low, high = 0, len(blob)  # both are starts of lines
        while low < high:
            middle = blob.rfind(b"\n", low, (low + high) // 2) + 1 or low
            if blob[middle : blob.index(b"\t", middle)] < key:
                low = blob.index(b"\n", middle) + 1
            else:
                high = middle
        return low

    def get(self, key: str) -> str | None:
        """The value of `key`, None when the table does not have it."""
        wanted = key.encode() + b"\t"
        start = self._lower_bound(wanted[:-1])
        if not self._blob.startswith(wanted, start):
            return None
        end = self._blob.index(b"\n", start)
        return self._blob[start + len(wanted) : end].decode()

    def has_prefix(self, prefix: str) -> bool:
        """Whether any key starts with `prefix`."""
        wanted = prefix.encode()
        return self._blob.startswith(wanted, self._lower_bound(wanted))
