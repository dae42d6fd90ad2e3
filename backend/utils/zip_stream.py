"""A ZIP archive as a stream of known length: files go in as they are, nothing is compressed and nothing is held.

Runs in the service process. Source: PKWARE's APPNOTE 6.3 (4.3.7 local header, 4.3.12 directory, 4.3.14 and 4.5.3
Zip64). Sizes are known before, so the whole length is too; the checksum of a file is reckoned right before it is
sent, so that no data descriptor is needed, which many unpackers do not take for stored files.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# What is in memory at a time.
CHUNK_BYTES = 256 << 10
_CRC_CHUNK_BYTES = 1 << 20

# Bit 11: the name is UTF-8 (APPNOTE 4.4.4).
_UTF8_NAME = 0x0800
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_EXTRA = 0x0001
# The earliest year that a DOS date can tell.
_FIRST_YEAR = 1980


@dataclass(frozen=True)
class ZipEntry:
    """One file of the archive: its name there (forward slashes), what is in it, and when that was made."""

    name: str
    size_bytes: int
    source: Path | bytes
    modified: datetime


class ZipSourceChanged(OSError):
    """A file is shorter than it was, or gone, while the archive is being sent."""


def zip_length(entries: Sequence[ZipEntry]) -> int:
    """How many bytes `zip_stream` will send."""
    offset, central = 0, 0
    for entry in entries:
        central += len(_central_header(entry, 0, offset))
        offset += len(_local_header(entry, 0)) + entry.size_bytes
    return offset + central + len(_end(len(entries), central, offset))


async def zip_stream(entries: Sequence[ZipEntry]) -> AsyncIterator[bytes]:
    """The archive, piece by piece; disks are waited for on threads. Raises OSError when a file went away."""
    offset, central = 0, bytearray()
    for entry in entries:
        crc = await asyncio.to_thread(_crc_of, entry)
        head = _local_header(entry, crc)
        central += _central_header(entry, crc, offset)
        yield head
        for begin in range(0, entry.size_bytes, CHUNK_BYTES):
            yield await asyncio.to_thread(_piece, entry, begin)
        offset += len(head) + entry.size_bytes
    yield bytes(central) + _end(len(entries), len(central), offset)


def _piece(entry: ZipEntry, begin: int) -> bytes:
    """Opened anew for each piece: a stream that nobody reads on holds no file, so Windows can delete it."""
    length = min(CHUNK_BYTES, entry.size_bytes - begin)
    if isinstance(entry.source, bytes):
        return entry.source[begin : begin + length]
    with entry.source.open("rb") as stream:
        stream.seek(begin)
        data = stream.read(length)
    if len(data) != length:
        raise ZipSourceChanged(f"{entry.source.name} is shorter than it was")
    return data


def _crc_of(entry: ZipEntry) -> int:
    if isinstance(entry.source, bytes):
        return zlib.crc32(entry.source)
    crc, left = 0, entry.size_bytes
    with entry.source.open("rb") as stream:
        while left and (chunk := stream.read(min(_CRC_CHUNK_BYTES, left))):
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
    if left:
        raise ZipSourceChanged(f"{entry.source.name} is shorter than it was")
    return crc


def _local_header(entry: ZipEntry, crc: int) -> bytes:
    name = entry.name.encode()
    is_large = entry.size_bytes >= _FULL_32
    extra = struct.pack("<HHQQ", _ZIP64_EXTRA, 16, entry.size_bytes, entry.size_bytes) if is_large else b""
    size = _FULL_32 if is_large else entry.size_bytes
    version = _ZIP64_VERSION if is_large else _PLAIN_VERSION
    time, date = _dos_time(entry.modified)
    fields = (0x04034B50, version, _UTF8_NAME, 0, time, date, crc, size, size, len(name), len(extra))
    return struct.pack("<IHHHHHIIIHH", *fields) + name + extra


def _central_header(entry: ZipEntry, crc: int, offset: int) -> bytes:
    name = entry.name.encode()
    is_large, is_far = entry.size_bytes >= _FULL_32, offset >= _FULL_32
    # Only what does not fit above, in this order (APPNOTE 4.5.3).
    numbers = [entry.size_bytes] * 2 * is_large + [offset] * is_far
    extra = struct.pack(f"<HH{len(numbers)}Q", _ZIP64_EXTRA, 8 * len(numbers), *numbers) if numbers else b""
    size = _FULL_32 if is_large else entry.size_bytes
    version = _ZIP64_VERSION if numbers else _PLAIN_VERSION
    time, date = _dos_time(entry.modified)
    fields = (
        *(0x02014B50, version, version, _UTF8_NAME, 0, time, date, crc, size, size),
        *(len(name), len(extra), 0, 0, 0, 0, _FULL_32 if is_far else offset),
    )
    return struct.pack("<IHHHHHHIIIHHHHHII", *fields) + name + extra


def _end(count: int, central_bytes: int, offset: int) -> bytes:
    plain = struct.pack(
        "<IHHHHIIH",
        *(0x06054B50, 0, 0, min(count, _FULL_16), min(count, _FULL_16)),
        *(min(central_bytes, _FULL_32), min(offset, _FULL_32), 0),
    )
    if count < _FULL_16 and central_bytes < _FULL_32 and offset < _FULL_32:
        return plain
    directory = struct.pack(
        "<IQHHIIQQQQ",
        *(0x06064B50, 44, _ZIP64_VERSION, _ZIP64_VERSION, 0, 0, count, count, central_bytes, offset),
    )
    locator = struct.pack("<IIQI", 0x07064B50, 0, offset + central_bytes, 1)
    return directory + locator + plain


def _dos_time(moment: datetime) -> tuple[int, int]:
    year = max(moment.year, _FIRST_YEAR)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return time, (year - _FIRST_YEAR) << 9 | moment.month << 5 | moment.day
