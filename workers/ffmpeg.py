"""Safe ffmpeg children for workers. Standard library only; runs in any worker process.

Flow: an argument list goes in, one ffmpeg child runs without a shell, raw samples or frames stream through
its pipes, and the last lines of its complaints come back inside `FfmpegError`.

Why the fences: a media file is a program for its demuxer. A playlist renamed `.wav` reads other local files
even when the network protocols are shut, so inputs name both the protocols AND the demuxers they may use,
and names are passed as `file:` URLs so that a leading dash or a colon in a path stays a path.
"""

from __future__ import annotations

import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

# `pipe` for our own raw streams, `file` for the one file that was named.
PROTOCOLS = "file,pipe"
# Containers that people record or download. No playlist, no concat script, no image sequence, no device.
AUDIO_DEMUXERS = "wav,w64,mp3,flac,ogg,aac,mov,matroska,aiff,caf,amr,asf,avi,ac3,eac3,au,mpeg,mpegts"
# Two kilobytes hold the line that names the fault; ffmpeg can print megabytes about a broken stream.
_TAIL_LINES = 24
_TAIL_LINE_CHARS = 400
# How long a child may take to close its files after its input ended, when the caller gave no deadline left.
_MIN_WAIT_S = 1.0
# How long a killed child may take to be reaped.
_REAP_S = 5.0
_POLL_S = 0.1


class FfmpegError(Exception):
    """The child failed or outlived its deadline. `tail` is for logs: it may name paths."""

    def __init__(self, message: str, *, returncode: int | None, tail: str, timed_out: bool = False) -> None:
        super().__init__(message)
        self.returncode = returncode
        self.tail = tail
        self.timed_out = timed_out


def command(ffmpeg: str, *arguments: str) -> list[str]:
    """The argument list of one run: never interactive, no banner, errors only, overwriting its own output."""
    return [ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]


def media_input(path: Path, *, demuxers: str = AUDIO_DEMUXERS) -> list[str]:
    """Arguments that open one untrusted media file, and nothing that it points at."""
    return ["-protocol_whitelist", PROTOCOLS, "-format_whitelist", demuxers, "-i", f"file:{path}"]


def file_output(path: Path) -> list[str]:
    """Arguments that write one local file whatever its name looks like."""
    return [f"file:{path}"]


class FfmpegChild:
    """One running ffmpeg. Use it as a context manager: leaving the block in any way ends the child.

    `write` and `read` block on the pipes; a timer kills the child at the deadline, which unblocks them.
    """

    def __init__(
        self, argv: Sequence[str], *, deadline_s: float, stdin: bool = False, stdout: bool = False
    ) -> None:
        """`deadline_s`: seconds from now after which the child is killed."""
        self._argv = list(argv)
        self._deadline_s = deadline_s
        self._want_stdin = stdin
        self._want_stdout = stdout
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._timed_out = False
        self._process: subprocess.Popen[bytes] | None = None
        self._drain: threading.Thread | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> FfmpegChild:
        # No console window may flash up on Windows; elsewhere the flag does not exist and is 0.
        flags: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (argument list made by us, no shell)
                self._argv,
                stdin=subprocess.PIPE if self._want_stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._want_stdout else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                creationflags=flags,
            )
        except OSError as error:
            raise FfmpegError(f"ffmpeg could not be started: {error}", returncode=None, tail="") from error
        self._drain = threading.Thread(target=self._collect_stderr, name="ffmpeg-stderr", daemon=True)
        self._drain.start()
        self._timer = threading.Timer(self._deadline_s, self._expire)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before the start."""
        return None if self._process is None else self._process.pid

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Feed the child's standard input. Raises `FfmpegError` when the child has gone."""
        try:
            self._pipe("stdin").write(data)
        except (BrokenPipeError, OSError) as error:
            raise self._failure("ffmpeg stopped reading") from error

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the child's standard output; empty at its end."""
        return self._pipe("stdout").read(size)

    def finish(self) -> None:
        """Close the input, wait for the end. Raises `FfmpegError` unless the child succeeded in time."""
        process = self._running()
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError as error:
                raise self._failure("ffmpeg stopped reading") from error
        try:
            returncode = process.wait(timeout=max(_MIN_WAIT_S, self._deadline_s + _REAP_S))
        except subprocess.TimeoutExpired:
            self._timed_out = True
            raise self._failure("ffmpeg did not end") from None
        if returncode != 0 or self._timed_out:
            raise self._failure("ffmpeg failed")

    def wait_polling(self, check: Callable[[], None]) -> None:
        """Wait for the end as `finish` does, calling `check` often; what it raises ends the child."""
        process = self._running()
        if process.stdin is not None:
            process.stdin.close()
        while True:
            try:
                process.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                check()
            else:
                break
        self.finish()

    def kill(self) -> None:
        """End the child now. Idempotent; afterwards it is reaped and its pipes are closed."""
        if self._timer is not None:
            self._timer.cancel()
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            process.wait(timeout=_REAP_S)
        if self._drain is not None:
            self._drain.join(timeout=_REAP_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                _close_quietly(pipe)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the ffmpeg child was not started")
        return self._process

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] | None = getattr(self._running(), name)
        if pipe is None:
            raise RuntimeError(f"the ffmpeg child has no {name}")
        return pipe

    def _expire(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            self._timed_out = True
            process.kill()

    def _collect_stderr(self) -> None:
        stream = self._pipe("stderr")
        while line := stream.readline(_TAIL_LINE_CHARS):
            self._tail.append(line.decode("utf-8", "replace").rstrip())

    def _failure(self, message: str) -> FfmpegError:
        process = self._running()
        if process.poll() is None:
            process.kill()
            process.wait(timeout=_REAP_S)
        if self._drain is not None:
            self._drain.join(timeout=_REAP_S)
        if self._timed_out:
            message = f"{message}: it ran past its deadline of {self._deadline_s:.0f} s"
        return FfmpegError(
            message, returncode=process.returncode, tail="\n".join(self._tail), timed_out=self._timed_out
        )


def _close_quietly(pipe: IO[bytes]) -> None:
    """Close a pipe of a dead child: buffered bytes that can no longer be delivered are no news."""
    try:
        pipe.close()
    except OSError:
        return


def run(argv: Sequence[str], *, deadline_s: float, check: Callable[[], None] | None = None) -> None:
    """Run ffmpeg to its end without pipes. `check` is called often and may raise to stop it (cancel)."""
    with FfmpegChild(argv, deadline_s=deadline_s) as child:
        child.wait_polling(check or _no_check)


def _no_check() -> None:
    """Nothing to check."""
