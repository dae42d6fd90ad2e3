"""Logs of the service process: `logs/app.log` (API, routing, start) and `logs/worker.log` (engines).

Nothing is attached at import. `configure_logging` is called once by the app's lifespan and returns the
function that detaches and closes the files again. Lines carry the job id; text that came from a user or
an engine cannot forge a line, because control characters are escaped.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

app_logger = logging.getLogger("allinone.app")
worker_logger = logging.getLogger("allinone.worker")

# Ten files of 5 MB per log: weeks of normal use, and never more than 100 MB of disk.
MAX_LOG_BYTES = 5_000_000
KEPT_LOG_FILES = 9

_job_id: ContextVar[str] = ContextVar("job_id", default="-")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
# What never belongs in a log even when a library prints it.
_SECRETS = re.compile(
    r"(?i)(authorization|x-api-key|api[_-]?key|token|secret)(\s*[=:]\s*)(bearer\s+)?[^\s,;&\"']+"
)


def escape_controls(text: str) -> str:
    """CR, ANSI escapes and other control characters as visible `\\xNN`; tabs and newlines stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


@contextlib.contextmanager
def job_context(job_id: str) -> Iterator[None]:
    """Every line logged inside carries this job id."""
    token = _job_id.set(job_id)
    try:
        yield
    finally:
        _job_id.reset(token)


class _JobFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(record, "job_id", None):
            record.job_id = _job_id.get()
        return True


class LineFormatter(logging.Formatter):
    """`2026-01-31T08:00:00.123Z INFO [job_…] message`; a traceback follows indented by two spaces."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s [%(job_id)s] %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        original = record.msg, record.args, record.__dict__.get("job_id")
        record.msg, record.args = _one_line(record.getMessage()), ()
        record.job_id = _one_line(str(original[2]))
        try:
            text = super().format(record)
        finally:
            record.msg, record.args, record.job_id = original
        # What follows is a traceback: its lines are kept, but it may quote anybody, so they are indented, and
        # only what begins at the margin is a line of the log.
        lines = "\n  ".join(escape_controls(line) for line in text.split("\n"))
        return _SECRETS.sub(r"\1\2***", lines)


def _one_line(text: str) -> str:
    return escape_controls(text).replace("\n", "\\n")


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log file that says once that it cannot be written, where `logging` would print a traceback for each line."""

    _is_refused = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            # A line that cannot be formatted is a defect, which has to be seen.
            super().handleError(record)
        elif not self._is_refused and sys.stderr is not None:
            self._is_refused = True
            sys.stderr.write(
                f"[!!] The log {self.baseFilename} cannot be written: {error.strerror or error}. "
                "Change its owner, free some disk, or choose another folder with LOGS_DIR.\n"
            )


def _file_handler(path: Path) -> logging.Handler:
    handler = _LogFile(path, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOG_FILES, encoding="utf-8", delay=True)
    handler.setFormatter(LineFormatter())
    handler.addFilter(_JobFilter())
    return handler


def set_log_level(level: str) -> None:
    """From the next line on."""
    for target in (app_logger, worker_logger):
        target.setLevel(level)


def configure_logging(logs_dir: Path, level: str = "INFO") -> Callable[[], None]:
    """Attach the two rotating files; returns the function that undoes it. `logs_dir` must exist."""
    attached: list[tuple[logging.Logger, logging.Handler]] = []
    files = {
        logs_dir / "app.log": (app_logger, logging.getLogger("uvicorn")),
        logs_dir / "worker.log": (worker_logger,),
    }
    for path, loggers in files.items():
        handler = _file_handler(path)
        for target in loggers:
            target.addHandler(handler)
            attached.append((target, handler))
    set_log_level(level)

    def close() -> None:
        for target, handler in attached:
            target.removeHandler(handler)
            handler.close()

    return close
