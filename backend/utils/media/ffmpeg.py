"""One run of the ffmpeg binary as a child of the service process.

argv goes in as a list, lines of stdout and progress come out through callables, stderr is kept as a
bounded tail. The run ends by itself, by its deadline, or by a cancel; in the last two cases the
whole process group is killed. Nothing here interprets media.

What keeps a hostile file harmless: the demuxer is forced from our own magic bytes, only that
demuxer and only the protocols `file` and `pipe` are allowed, names are absolute and carry the
`file:` prefix (so `-x`, `a|b` and `concat:a` are names), and CPU and address space are limited
where the system can do so from outside.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.sniff import Sniffed

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]

# A cancel must be felt within a second; ten looks a second cost nothing.
POLL_S = 0.1
# Enough to see the reason of a failure, little enough for a database row.
STDERR_TAIL_LINES = 40
STDERR_LINE_CHARS = 500
# A child that closes its pipes is gone at once; one in uninterruptible sleep is left to the system.
KILL_WAIT_S = 5.0
# What Linux runs first: it asks the kernel to end the program with the service, then becomes the program. A
# preexec_fn would do the same, but is not safe in a process with threads. prctl(2): 1 is PR_SET_PDEATHSIG, kept
# over exec; the second look at the parent closes the race in which it died before the call.
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.stderr.write(str(error))
    sys.exit(126)
"""
# Decoding and x264 at 4K stay far below this; a forged header that asks for more must fail.
ADDRESS_SPACE_BYTES = 8 * 1024**3
# With two threads, a run cannot honestly use more CPU than this times its deadline.
CPU_SECONDS_PER_DEADLINE_SECOND = 4

# The exit status above for a program that cannot be run; ffmpeg itself never ends with it.
_CANNOT_RUN = 126

_LINE_BYTES = 8192
_DISK_FULL_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "There is not enough space",
    "File too large",
)
# How a child ends that writes past a limit on file sizes (the signal does not exist on Windows).
_FILE_SIZE_DEATH = -int(getattr(signal, "SIGXFSZ", 0)) or None

Cancelled = Callable[[], bool]


def never_cancelled() -> bool:
    """For callers that cannot be cancelled."""
    return False


def locate_ffmpeg() -> Path:
    """The binary that the `imageio-ffmpeg` package carries. Raises EngineFailure when there is none."""
    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EngineFailure(
            ErrorCode.ENGINE_UNAVAILABLE,
            "The program ffmpeg, which cuts and joins sound and pictures, was not found.",
            hint="Install the dependencies again; the package imageio-ffmpeg brings it along.",
        ) from error


@dataclass(frozen=True)
class FfmpegRun:
    """How a run ended. `stderr_tail` may hold local paths: for logs only."""

    returncode: int
    stderr_tail: str


@dataclass(frozen=True)
class Ffmpeg:
    """The binary and how many threads it may use."""

    binary: Path
    threads: int = 2

    def run(
        self,
        arguments: Sequence[str],
        *,
        deadline_s: float,
        cancelled: Cancelled = never_cancelled,
        on_line: Callable[[str], None] | None = None,
        cwd: Path | None = None,
    ) -> FfmpegRun:
        """Run ffmpeg with `arguments` and wait for its end; blocks.

        `on_line` receives every line of stdout, from another thread; it must not raise. Raises
        JobCancelled, EngineFailure(timeout) at the deadline and EngineFailure(engine_unavailable)
        when the binary cannot be started. A failure of ffmpeg itself is in `returncode`.
        """
        argv = [str(self.binary), "-hide_banner", "-nostdin", "-y", *arguments]
        if cancelled():
            raise JobCancelled
        try:
            process = subprocess.Popen(  # noqa: S603 - argv list, absolute binary, our own names
                mortal_command(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                # A group of its own: a kill reaches whatever it started, Ctrl+C does not reach it.
                start_new_session=True,
                # On Windows: no console window flashes up. The name exists only there.
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise _not_startable(str(error)) from error
        _limit(process.pid, deadline_s)
        done = _supervise(process, deadline_s=deadline_s, cancelled=cancelled, on_line=on_line)
        if done.returncode == _CANNOT_RUN:
            raise _not_startable(done.stderr_tail)
        return done

    def run_checked(
        self,
        arguments: Sequence[str],
        *,
        purpose: str,
        deadline_s: float,
        cancelled: Cancelled = never_cancelled,
        on_line: Callable[[str], None] | None = None,
        cwd: Path | None = None,
    ) -> FfmpegRun:
        """Like `run`, and raises EngineFailure when ffmpeg fails. `purpose` ends the sentence.

        Codes: disk_full when the disk was the reason, else no_output.
        """
        done = self.run(arguments, deadline_s=deadline_s, cancelled=cancelled, on_line=on_line, cwd=cwd)
        if done.returncode == 0:
            return done
        full = any(words in done.stderr_tail for words in _DISK_FULL_WORDS)
        if full or done.returncode == _FILE_SIZE_DEATH:
            raise EngineFailure(
                ErrorCode.DISK_FULL,
                f"The disk is full: ffmpeg could not {purpose}.",
                hint="Free some space on the disk that holds the data folder and try again.",
                exit_code=done.returncode,
                log_tail=done.stderr_tail,
            )
        raise EngineFailure(
            ErrorCode.NO_OUTPUT,
            f"ffmpeg could not {purpose}.",
            hint="The log has the reason. Try again; if it happens each time, report it.",
            exit_code=done.returncode,
            log_tail=done.stderr_tail,
        )


def input_arguments(path: Path, sniffed: Sniffed, *, max_duration_s: float | None = None) -> list[str]:
    """Arguments that open `path` as exactly the format it was sniffed to be, and nothing else."""
    arguments = ["-protocol_whitelist", "file,pipe", "-format_whitelist", sniffed.demuxer]
    if max_duration_s is not None:
        arguments += ["-t", f"{max_duration_s:.3f}"]
    return [*arguments, "-f", sniffed.demuxer, "-i", file_url(path)]


def file_url(path: Path) -> str:
    """An absolute name that ffmpeg cannot take for an option, a protocol or a list."""
    return f"file:{path.absolute()}"


def _not_startable(reason: str) -> EngineFailure:
    return EngineFailure(
        ErrorCode.ENGINE_UNAVAILABLE,
        "The program ffmpeg could not be started.",
        hint="Install the dependencies again; a virus scanner may have removed the program.",
        log_tail=reason,
    )


def mortal_command(argv: list[str]) -> list[str]:
    """The command line that ends with the service however that ends.

    Linux only (`prlimit` exists nowhere else), and not in a packaged executable, which has no interpreter to
    start; elsewhere a run that outlives a killed service ends by itself.
    """
    if not hasattr(resource, "prlimit") or getattr(sys, "frozen", False):
        return argv
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *argv]


def _limit(pid: int, deadline_s: float) -> None:
    """Bound CPU time and address space from outside; preexec_fn is not safe with threads."""
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        return  # macOS and Windows: the deadline alone bounds the run
    cpu_s = int(deadline_s * CPU_SECONDS_PER_DEADLINE_SECOND) + 1
    # The child may be gone already, and a container may forbid the call: both leave the deadline.
    with contextlib.suppress(OSError, ValueError):
        prlimit(pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
        prlimit(pid, resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def _supervise(
    process: subprocess.Popen[bytes],
    *,
    deadline_s: float,
    cancelled: Cancelled,
    on_line: Callable[[str], None] | None,
) -> FfmpegRun:
    tail: deque[str] = deque(maxlen=STDERR_TAIL_LINES)
    readers = [
        threading.Thread(
            target=_read_lines, args=(process.stdout, on_line), name="ffmpeg-stdout", daemon=True
        ),
        threading.Thread(
            target=_read_lines, args=(process.stderr, tail.append), name="ffmpeg-stderr", daemon=True
        ),
    ]
    for reader in readers:
        reader.start()
    ends_at = time.monotonic() + deadline_s
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
                break
            if cancelled():
                raise JobCancelled
            if time.monotonic() >= ends_at:
                raise EngineFailure(
                    ErrorCode.TIMEOUT,
                    f"ffmpeg did not finish within {deadline_s:.0f} seconds and was stopped.",
                    hint="Close other heavy programs and try again.",
                    retryable=True,
                    log_tail="\n".join(tail),
                )
    finally:
        _kill_group(process)
        for reader in readers:
            reader.join(KILL_WAIT_S)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return FfmpegRun(process.returncode, "\n".join(tail))


def _read_lines(stream: IO[bytes], sink: Callable[[str], None] | None) -> None:
    """Drain a pipe to its end; lines are cut so that a child cannot make us keep what it likes."""
    while True:
        raw = stream.readline(_LINE_BYTES)
        if not raw:
            return
        if sink is not None:
            sink(raw.decode("utf-8", "replace").rstrip("\r\n")[:STDERR_LINE_CHARS])


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the child and its group if it still runs, and reap it."""
    if process.poll() is not None:
        return
    kill_group = getattr(os, "killpg", None)  # absent on Windows, where ffmpeg has no children
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if kill_group is None:
            process.kill()
        else:
            kill_group(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILL_WAIT_S)
