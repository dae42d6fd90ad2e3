"""The few boxes of an MP4 file (ISO/IEC 14496-12) that we read ourselves, without a decoder.

Runs in the service process. Every length is checked against the box around it, so a forged file
costs a bounded walk and never a large read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# An MP4 of ours has under ten boxes on any level; a walk past this many is hostile.
MAX_BOXES = 4096
# Title and provenance are small; nothing larger is read into memory.
MAX_TAG_BYTES = 1 << 20


def is_faststart(path: Path) -> bool:
    """Whether the index (`moov`) stands before the data (`mdat`), so that playing starts at once."""
    with path.open("rb") as stream:
        for name, _, _ in _boxes(stream, 0, _size(stream)):
            if name == b"moov":
                return True
            if name == b"mdat":
                return False
    return False


def read_tags(path: Path) -> dict[str, str]:
    """The iTunes-style text tags of the file, such as `©nam` (title) and `©cmt` (comment)."""
    with path.open("rb") as stream:
        span = (0, _size(stream))
        for name in (b"moov", b"udta", b"meta", b"ilst"):
            found = _find(stream, span, name)
            if found is None:
                return {}
            # `meta` is a full box: version and flags come first.
            span = (found[0] + 4, found[1]) if name == b"meta" else found
        return {
            tag.decode("latin-1"): text
            for tag, start, end in _boxes(stream, *span)
            if (text := _text(stream, start, end)) is not None
        }


def _text(stream: BinaryIO, start: int, end: int) -> str | None:
    """The UTF-8 text of a tag's `data` box: type (4), locale (4), then the text."""
    data = _find(stream, (start, end), b"data")
    if data is None or not 8 <= data[1] - data[0] <= MAX_TAG_BYTES:
        return None
    stream.seek(data[0])
    payload = stream.read(data[1] - data[0])
    return payload[8:].decode("utf-8", "replace") if payload[3:4] == b"\x01" else None


def _find(stream: BinaryIO, span: tuple[int, int], name: bytes) -> tuple[int, int] | None:
    return next(((start, end) for box, start, end in _boxes(stream, *span) if box == name), None)


def _boxes(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box between `start` and `end`."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        stream.seek(start)
        header = stream.read(16)
        size, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1:  # a 64-bit length follows
            size, content = int.from_bytes(header[8:16], "big"), start + 16
        elif size == 0:  # to the end of the file
            size = end - start
        if size < content - start or start + size > end:
            # Truncated or forged: what there is of it is still told, then the walk ends.
            if name in (b"moov", b"mdat"):
                yield name, content, end
            return
        yield name, content, start + size
        start += size


def _size(stream: BinaryIO) -> int:
    return stream.seek(0, 2)
