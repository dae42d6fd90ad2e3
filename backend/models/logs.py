"""Lines of the logs on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Literal

from backend.models.job import WireModel

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LOG_LEVELS: tuple[LogLevel, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")


class LogLine(WireModel):
    """One line. `source`: `app`, or the worker that said it."""

    at: str
    level: LogLevel
    source: str
    message: str
    job_id: str | None


class LogPage(WireModel):
    """Newest first. A page may be empty although there is a next one: a filter looked through its share of the log."""

    data: list[LogLine]
    next_cursor: str | None
