"""Lines on the terminal: one clear line per step, errors with their fix, and one progress bar.

Runs in both interpreters. Nothing here assumes a TTY, a width or an encoding: what the terminal cannot show
is replaced, never raised.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from typing import TextIO

from launcher.errors import LauncherError

# A bar longer than this adds nothing; a terminal narrower than this gets plain lines cut to its width.
BAR_CELLS = 24
# Without a TTY one line per this many percent, so that a log of a long job stays short.
PLAIN_STEP_PERCENT = 10


def cell_width(text: str) -> int:
    """Terminal cells that `text` takes; Chinese and Japanese characters take two."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide


def fit(text: str, cells: int) -> str:
    """`text` cut to at most `cells` terminal cells."""
    used = 0
    for position, character in enumerate(text):
        used += cell_width(character)
        if used > cells:
            return text[:position]
    return text


class Console:
    """Writes to two streams. Made once per process by the command line."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._err = err if err is not None else sys.stderr

    def ok(self, text: str) -> None:
        self._line(self._out, f"[ok] {text}")

    def doing(self, text: str) -> None:
        self._line(self._out, f"[..] {text}")

    def warn(self, text: str) -> None:
        self._line(self._err, f"[!!] {text}")

    def plain(self, text: str) -> None:
        self._line(self._out, text)

    def fail(self, error: LauncherError) -> None:
        """`[Error]` line, details, then the fix in both languages."""
        self._line(self._err, f"[Error] {error.message}")
        for line in error.details:
            self._line(self._err, f"    {line}")
        self._line(self._err, f"  Fix: {error.fix}")
        self._line(self._err, f"  解决：{error.fix_zh}")

    def _line(self, stream: TextIO, text: str) -> None:
        self._write(stream, text + "\n")

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, errors="replace").decode(encoding))
        stream.flush()

    def progress(self) -> ProgressBar:
        """A bar on standard output."""
        return ProgressBar(self._out)


class ProgressBar:
    """One line that is rewritten on a TTY, and a few plain lines anywhere else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_tty = out.isatty()
        self._shown = ""
        self._last_percent = -PLAIN_STEP_PERCENT
        self._last_label = ""

    def update(self, percent: int, label: str, message: str) -> None:
        """Show `percent` (0..100), a short label (the stage) and a sentence."""
        percent = max(0, min(100, percent))
        if self._is_tty:
            self._redraw(self._bar(percent) + f" {percent:3d}%  {label}  {message}")
            return
        if label != self._last_label or percent >= self._last_percent + PLAIN_STEP_PERCENT:
            self._last_label, self._last_percent = label, percent
            Console._write(self._out, f"     {percent:3d}%  {label}  {message}\n")

    def close(self) -> None:
        """Leave the last state on its own line."""
        if self._is_tty and self._shown:
            Console._write(self._out, "\n")
        self._shown = ""

    @staticmethod
    def _bar(percent: int) -> str:
        full = percent * BAR_CELLS // 100
        return "[" + "#" * full + "." * (BAR_CELLS - full) + "]"

    def _redraw(self, text: str) -> None:
        # One cell is left free: writing the last column makes some terminals wrap.
        text = fit(text, shutil.get_terminal_size().columns - 1)
        if text == self._shown:
            return
        padding = " " * max(0, cell_width(self._shown) - cell_width(text))
        Console._write(self._out, "\r" + text + padding)
        self._shown = text


def prepare_streams() -> None:
    """UTF-8 output that replaces what it cannot show: a Windows code page must not end a start."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
