"""The service's logs for a person: newest first, filtered, without secrets. Runs in the service process.

Reads happen on a thread and look through a bounded piece of the logs; a cursor says where the next page goes on, also
when the logs were rotated meanwhile.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.models.logs import LOG_LEVELS, LogLevel, LogLine, LogPage
from backend.utils.cursor_text import decode_cursor, encode_cursor
from backend.utils.log_lines import LogEntry, LogPlace, backwards, end_of
from backend.utils.redact import Redactor

LOG_FILES = {"app": "app.log", "worker": "worker.log"}
MAX_LINES = 500
# A request reads so much at most, some tens of milliseconds; a filter that finds nothing asks for the next page.
MAX_SCAN_BYTES = 4 << 20
MAX_MESSAGE_CHARS = 4000
# So much of a line is cleaned. Cleaning makes most lines shorter, so more than what is shown; a line may have 256 KiB.
MAX_CLEANED_CHARS = 4 * MAX_MESSAGE_CHARS
# No key or password has more characters.
_LONGEST_WORD = 1000
_TRACEBACK = "Traceback (most recent call last)"
# Two readings at a time: more would only fight for the disk.
_READERS = 2


@dataclass(frozen=True)
class LogFilter:
    """`source`: app, worker (all of them) or one worker's name; `level`: at least this; `text` in any case."""

    source: str | None = None
    level: LogLevel | None = None
    text: str | None = None
    job_id: str | None = None

    def files(self) -> list[str]:
        if self.source is None:
            return list(LOG_FILES)
        return ["app"] if self.source == "app" else ["worker"]

    def may_take(self, entry: LogEntry) -> bool:
        """The cheap look, at the line as it stands in the file."""
        if self.source not in (None, "app", "worker") and entry.source != self.source:
            return False
        if self.level is not None and LOG_LEVELS.index(_level(entry.level)) < LOG_LEVELS.index(self.level):
            return False
        if self.job_id is not None and entry.job_id != self.job_id:
            return False
        return self.text is None or self._has_text(entry.text, entry.more, entry.job_id)

    def takes(self, line: LogLine) -> bool:
        """The look at what is shown: nobody finds out by asking what was taken out of a line."""
        return self.text is None or self._has_text(line.message, line.job_id)

    def _has_text(self, *parts: str | None) -> bool:
        wanted = (self.text or "").lower()
        return any(wanted in part.lower() for part in parts if part)


@dataclass
class _Budget:
    """Bytes that one request may still read; `is_spent`: a reader had to stop for want of them."""

    left: int
    is_spent: bool = False


class LogService:
    """Reads `app.log` and `worker.log`."""

    def __init__(self, logs_dir: Path, redactor: Callable[[tuple[str, ...]], Redactor]) -> None:
        self._logs_dir = logs_dir
        self._redactor = redactor
        self._slots = asyncio.Semaphore(_READERS)

    async def page(self, wanted: LogFilter, *, limit: int, cursor: str | None) -> LogPage:
        """At most `limit` lines. Raises `validation_failed` for a cursor that is not one of ours."""
        places = _read_cursor(cursor)
        async with self._slots:
            return await asyncio.to_thread(self._read, wanted, limit, places)

    def _read(self, wanted: LogFilter, limit: int, places: dict[str, LogPlace]) -> LogPage:
        reached = dict(places)
        for name in wanted.files():
            # Also of a log that gives nothing to this page: its lines of the meantime belong to no later one.
            end = end_of(self._path(name))
            if end is not None:
                reached.setdefault(name, end)
        budget = _Budget(MAX_SCAN_BYTES)
        redactor = self._redactor(())
        readers = [self._entries(name, reached, budget) for name in wanted.files() if name in reached]
        # Newest first over all files; within one file the order is the file's own.
        merged = heapq.merge(*readers, key=lambda item: item[1].at, reverse=True)
        found: list[LogLine] = []
        for name, entry in merged:
            if budget.is_spent:
                break
            reached[name] = entry.place
            line = _line(entry, redactor) if wanted.may_take(entry) else None
            if line is not None and wanted.takes(line):
                found.append(line)
                if len(found) == limit:
                    return LogPage(data=found, next_cursor=_make_cursor(reached))
        return LogPage(data=found, next_cursor=_make_cursor(reached) if budget.is_spent else None)

    def _entries(
        self, name: str, reached: dict[str, LogPlace], budget: _Budget
    ) -> Iterator[tuple[str, LogEntry]]:
        for entry, place, read_bytes in backwards(self._path(name), after=reached[name]):
            budget.left -= read_bytes
            if entry is not None:
                yield name, entry
            elif budget.left <= 0:
                # All before this was taken: the merge asks for the next one only then.
                reached[name] = place
                budget.is_spent = True
                return

    def _path(self, name: str) -> Path:
        return self._logs_dir / LOG_FILES[name]


def _line(entry: LogEntry, redactor: Redactor) -> LogLine:
    return LogLine(
        at=entry.at,
        level=_level(entry.level),
        source=entry.source,
        message=redactor.clean(_beginning(_told(entry)))[:MAX_MESSAGE_CHARS],
        job_id=entry.job_id,
    )


def _beginning(text: str) -> str:
    """What of a long line is cleaned, without its last word: half a secret would not be known for one."""
    if len(text) <= MAX_CLEANED_CHARS:
        return text
    head = text[:MAX_CLEANED_CHARS]
    end = head.rfind(" ", MAX_CLEANED_CHARS - _LONGEST_WORD)
    return head if end < 0 else head[:end]


def _told(entry: LogEntry) -> str:
    """The line, and of a traceback only how it ended: the rest is for developers, who have the file."""
    if _TRACEBACK not in entry.more:
        return f"{entry.text}\n{entry.more}".rstrip() if entry.more else entry.text
    last = entry.more.rstrip().rsplit("\n", 1)[-1].strip()
    return f"{entry.text}\n{last}"


def _level(name: str) -> LogLevel:
    if name == "CRITICAL":
        return "ERROR"
    return next((level for level in LOG_LEVELS if level == name), "INFO")


def _make_cursor(places: dict[str, LogPlace]) -> str | None:
    told = {name: [place.file_number, place.offset] for name, place in places.items()}
    return encode_cursor(told) if told else None


def _read_cursor(cursor: str | None) -> dict[str, LogPlace]:
    return decode_cursor(cursor, _places) if cursor else {}


def _places(told: Any) -> dict[str, LogPlace]:
    places = {}
    for name, (file_number, offset) in told.items():
        if name not in LOG_FILES or type(file_number) is not int or type(offset) is not int or offset < 0:
            raise ValueError(name)
        places[name] = LogPlace(file_number, offset)
    return places
