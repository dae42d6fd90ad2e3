"""Reads a log from its end, block by block, and takes its lines apart. Service process; blocks, so ask it on a thread.

What is read is what `logger.py` writes: a line begins at the margin with its time, and what follows indented
(a traceback) belongs to it. On Windows a log that is being read cannot be rotated; the logger then goes on with the
same file and tries again with its next line (not tested there).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.utils.logger import KEPT_LOG_FILES

_BLOCK_BYTES = 64 << 10
# A line with its traceback; what is longer is cut, so that no log can fill the memory.
MAX_ENTRY_BYTES = 256 << 10
_HEAD = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>[A-Z]+) \[(?P<job>[^\]]*)\] (?P<name>[\w.]+): (?P<text>.*)",
    re.ASCII | re.DOTALL,
)
# Names of loggers that write to worker.log; the worker's id stands before a bar.
_WORKER = re.compile(r"(?P<name>[a-z0-9_]+)(?:-[\w-]+)? \| (?P<text>.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class LogPlace:
    """Where a reading stopped: the file by its number on the disk, which outlives a rotation, and the byte in it before
    which to go on."""

    file_number: int
    offset: int


@dataclass(frozen=True)
class LogEntry:
    """One line taken apart. `more` is what followed it indented; `place` is where the line begins."""

    at: str
    level: str
    job_id: str | None
    source: str
    text: str
    more: str
    place: LogPlace


def rotated(path: Path) -> list[Path]:
    """The log and its older parts, newest first; those that exist."""
    parts = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, KEPT_LOG_FILES + 1))]
    return [part for part in parts if part.is_file()]


def end_of(path: Path) -> LogPlace | None:
    """Behind the newest line; None when there is no log yet."""
    try:
        status = path.stat()
    except OSError:
        return None
    return LogPlace(status.st_ino, status.st_size)


def backwards(path: Path, *, after: LogPlace) -> Iterator[tuple[LogEntry | None, LogPlace, int]]:
    """Entries of a log and its older parts, newest first, from `after` on; nothing when that part is gone.

    After each block that was read comes None with the place up to which all has been given, and how many bytes it was.
    """
    parts = rotated(path)
    numbers = [_number(part) for part in parts]
    start = numbers.index(after.file_number) if after.file_number in numbers else len(parts)
    for index, part in enumerate(parts[start:]):
        yield from _backwards_in(part, after.offset if index == 0 else None)


def _number(path: Path) -> int:
    place = end_of(path)
    return place.file_number if place is not None else -1  # rotated away in this moment


def _backwards_in(path: Path, before: int | None) -> Iterator[tuple[LogEntry | None, LogPlace, int]]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            end = status.st_size if before is None else min(before, status.st_size)
            pending = b""
            while end > 0:
                size = min(_BLOCK_BYTES, end)
                file.seek(end - size)
                pending = file.read(size) + pending
                end -= size
                entries, pending = _cut(pending, end, status.st_ino)
                if end == 0:
                    # What is left begins with the file itself.
                    first = _entry(pending, LogPlace(status.st_ino, 0))
                    entries += [first] if first is not None else []
                    pending = b""
                for entry in entries:
                    yield entry, entry.place, 0
                yield None, LogPlace(status.st_ino, end + len(pending)), size
    except FileNotFoundError:
        return  # rotated away between the look and the reading


def _cut(pending: bytes, start: int, file_number: int) -> tuple[list[LogEntry], bytes]:
    """The entries that are whole in `pending`, last first, and what is left before them. `start`: its first byte."""
    found: list[LogEntry] = []
    end = len(pending)
    search = end
    while (newline := pending.rfind(b"\n", 0, search)) >= 0:
        begin = newline + 1
        search = newline
        if begin < end and pending[begin : begin + 1] not in (b" ", b"\n"):
            entry = _entry(pending[begin:end], LogPlace(file_number, start + begin))
            if entry is not None:
                found.append(entry)
            end = begin
    rest = pending[:end]
    # The head of a huge entry is what counts, and it is still to come; its tail goes.
    return found, rest if len(rest) <= MAX_ENTRY_BYTES else rest[:MAX_ENTRY_BYTES]


def _entry(raw: bytes, place: LogPlace) -> LogEntry | None:
    head, _, more = raw.decode("utf-8", "replace").rstrip("\n").partition("\n")
    match = _HEAD.fullmatch(head)
    if match is None:
        return None
    text, source = match["text"], "app"
    if match["name"].endswith(".worker"):
        spoken = _WORKER.fullmatch(text)
        source, text = (spoken["name"], spoken["text"]) if spoken else ("worker", text)
    job = match["job"]
    return LogEntry(match["at"], match["level"], job if job != "-" else None, source, text, more, place)
