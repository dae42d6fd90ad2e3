"""The log pipe of one worker: always drained, bounded, made harmless, written. Service process, own thread.

Whatever a worker and its children print arrives here as bytes on stderr. Lines end at LF or CR (progress
bars), are cut at 8 KiB, escaped, and go to the worker logger at no more than 200 a second; the rest is
counted. A ring of the last lines of the current attempt feeds failure reports. The pipe is read as fast
as it fills, so a worker that prints a gigabyte neither blocks nor grows this process.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

from backend.engines.protocol import DRAIN_PREFIX
from backend.utils.clock import Clock

MAX_LINE_CHARS = 8 * 1024  # a longer line is data, not a message
MAX_LINES_PER_S = 200  # more than anyone reads; a full disk helps nobody
RING_LINES = 200  # a traceback with its neighbourhood
_READ_BYTES = 64 * 1024  # the usual capacity of a pipe
_WINDOW_S = 1.0

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_DRAIN = re.compile(re.escape(DRAIN_PREFIX) + r"([0-9a-f]{32})")
_DRAIN_BYTES = DRAIN_PREFIX.encode("ascii")

# C0 and C1 controls, line and paragraph separators, and the marks that turn text around: all of them can
# forge a log line or drive a terminal. Tab stays.
_ESCAPES = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *range(0x09),
        *range(0x0A, 0x20),
        *range(0x7F, 0xA0),
        0x2028,
        0x2029,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
}


def escape(text: str) -> str:
    """One line that is safe to write: control characters become visible, the length is bounded."""
    if len(text) > MAX_LINE_CHARS:
        text = text[:MAX_LINE_CHARS] + "…"
    return text.translate(_ESCAPES)


def _decoded(line: bytes) -> str:
    # One byte beyond the limit is kept, so that `escape` knows the line was cut.
    return line[: MAX_LINE_CHARS + 1].decode("utf-8", "backslashreplace")


class LogPipe:
    """Reads one worker's stderr until its end. `feed` is the pure part, `start` adds the thread."""

    def __init__(
        self,
        *,
        worker_id: str,
        log: logging.Logger,
        clock: Clock,
        on_drain: Callable[[str], None] | None = None,
    ) -> None:
        self._worker_id = worker_id
        self._log = log
        self._clock = clock
        self._on_drain = on_drain
        self._lock = threading.Lock()
        self._ring: deque[str | bytes] = deque(maxlen=RING_LINES)
        self._job_id: str | None = None
        self._window_at = clock.monotonic_s()
        self._written = 0
        self._dropped = 0
        self._partial = b""
        self._skipping = False
        self._thread: threading.Thread | None = None

    # --- called by the supervisor --------------------------------------------------------------

    def start(self, stream: IO[bytes]) -> None:
        """Read `stream` in a thread, which closes it at end of file."""
        self._thread = threading.Thread(
            target=self._drain, args=(stream,), name=f"log-{self._worker_id}", daemon=True
        )
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the pipe. A process that escaped may hold it open for longer."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def begin_attempt(self, job_id: str | None) -> None:
        """Lines from now on belong to this job; the ring starts anew."""
        with self._lock:
            self._job_id = job_id
            if job_id is not None:
                self._ring.clear()

    def tail(self) -> str:
        """The last lines of the current attempt (or of the start, before any)."""
        with self._lock:
            return "\n".join(line if isinstance(line, str) else _decoded(line) for line in self._ring)

    def structured(self, level: str, logger: str, message: str) -> None:
        """A `log` message of the protocol; counts against the same rate."""
        self._take(f"{logger}: {message}" if logger else message, _LEVELS.get(level, logging.INFO))

    # --- the pipe ------------------------------------------------------------------------------

    def _drain(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), _READ_BYTES):
                self.feed(chunk)
        self.finish()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the pipe."""
        lines = chunk.replace(b"\r", b"\n").split(b"\n")
        lines[0] = self._partial + lines[0]
        self._partial = lines.pop()
        if lines and self._skipping:
            lines[0] = b""  # the rest of a line whose beginning was written already
            self._skipping = False
        if not self._skip_flood(lines, chunk):
            for line in lines:
                if line:
                    self._take(_decoded(line), logging.INFO)
        if self._skipping:
            self._partial = b""
        elif len(self._partial) > MAX_LINE_CHARS:
            self._take(_decoded(self._partial), logging.INFO)
            self._partial, self._skipping = b"", True

    def _skip_flood(self, lines: list[bytes], chunk: bytes) -> bool:
        """Count lines beyond the rate in one go: a flood must cost less than the printing of it."""
        with self._lock:
            in_window = self._clock.monotonic_s() - self._window_at < _WINDOW_S
            if not in_window or self._written < MAX_LINES_PER_S or _DRAIN_BYTES in chunk:
                return False
            self._dropped += len(lines)
            self._ring.extend(line[: MAX_LINE_CHARS + 1] for line in lines[-RING_LINES:])
            return True

    def finish(self) -> None:
        """The pipe ended: write what is left."""
        if self._partial and not self._skipping:
            self._take(_decoded(self._partial), logging.INFO)
        self._partial = b""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        self._note_dropped(dropped)

    def _take(self, text: str, level: int) -> None:
        mark = _DRAIN.fullmatch(text)
        if mark is not None:
            if self._on_drain is not None:
                self._on_drain(mark.group(1))
            return
        dropped = 0
        with self._lock:
            now = self._clock.monotonic_s()
            if now - self._window_at >= _WINDOW_S:
                self._window_at, self._written = now, 0
                dropped, self._dropped = self._dropped, 0
            self._ring.append(text)
            write = self._written < MAX_LINES_PER_S
            if write:
                self._written += 1
            else:
                self._dropped += 1
        self._note_dropped(dropped)
        if write:
            self._write(level, escape(text))

    def _note_dropped(self, count: int) -> None:
        if count:
            self._write(logging.WARNING, f"dropped {count} lines")

    def _write(self, level: int, line: str) -> None:
        extra = {"worker_id": self._worker_id, "job_id": self._job_id}
        self._log.log(level, "%s | %s", self._worker_id, line, extra=extra)
