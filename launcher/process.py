"""Child processes behind one seam, so that tests can put a scripted twin in its place.

Runs in the system's Python. Children are always given as an argument list, never through a shell: folders
with spaces and Chinese characters need no quoting.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TextIO

# How many lines of a child's error output are kept to explain a failure.
KEPT_LINES = 60
# Third Ctrl+C: the person means it.
_PATIENCE = 3


@dataclass(frozen=True)
class Outcome:
    """Exit status of a child and the last lines that it wrote."""

    status: int
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Runner(Protocol):
    """What the steps need from the operating system."""

    def capture(self, args: Sequence[str], *, timeout_s: float, env: Mapping[str, str]) -> Outcome:
        """Run quietly; both output streams come back. A missing program or a time-out is status -1."""

    def stream(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Outcome:
        """Run with the terminal's output; the lines of its error stream also come back."""

    def handover(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        """Run with the terminal attached; Ctrl+C is the child's to handle. Returns its exit status."""

    def become(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        """Like `handover`, as the last thing this process does."""


class SystemRunner:
    """Real processes."""

    def capture(self, args: Sequence[str], *, timeout_s: float, env: Mapping[str, str]) -> Outcome:
        try:
            done = subprocess.run(  # noqa: S603 - argument list, program chosen by us
                list(args),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Outcome(-1, (str(error),))
        return Outcome(done.returncode, tuple(done.stdout.splitlines()[-KEPT_LINES:]))

    def stream(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Outcome:
        try:
            process = subprocess.Popen(  # noqa: S603 - argument list, program chosen by us
                list(args),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            return Outcome(-1, (str(error),))
        with process:
            kept = _echo(process.stderr, sys.stderr)
            return Outcome(process.wait(), tuple(kept))

    def handover(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        with subprocess.Popen(list(args), cwd=cwd, env=dict(env)) as process:  # noqa: S603
            return wait_through_interrupts(process)

    def become(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        if sys.platform == "win32":
            # exec on Windows starts a second process and ends this one, which the command window takes as done.
            return self.handover(args, cwd=cwd, env=env)
        # One process instead of two: signals and exit status need no forwarding.
        os.chdir(cwd)
        sys.stdout.flush()
        return os.execve(args[0], list(args), dict(env))  # noqa: S606 - argument list, our own interpreter


def _echo(source: IO[str] | None, target: TextIO) -> deque[str]:
    """Copy lines from a child to the terminal and keep the last ones."""
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    for line in source or ():
        kept.append(line.rstrip("\n"))
        target.write(line)
        target.flush()
    return kept


def wait_through_interrupts(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child that gets the terminal's Ctrl+C itself and shuts down in its own time."""
    for _ in range(_PATIENCE):
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
    process.kill()
    return process.wait()
