"""One worker process and its threads, seen from the event loop. Service process.

Messages go out through `send`; what the worker says, breaks or ends as comes back as calls on the loop.
Blocking pipes with threads, not asyncio's subprocesses: those need a loop type that Windows does not
always have. Four threads per worker: life (spawns, waits, reaps), reader, writer, log.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from backend.engines.process_tree import ProcessIdentity, ProcessTree, oom_kills, spawn
from backend.engines.protocol import (
    MAX_LINE_BYTES,
    Decoder,
    Encoder,
    Log,
    ProtocolViolationError,
    WorkerMessage,
)
from backend.engines.worker_log import LogPipe

_READ_BYTES = 64 * 1024
# Messages the reader may be ahead of the loop. Beyond it the reader waits, the pipe fills, and a worker
# that floods slows itself down instead of growing this process.
_MESSAGES_AHEAD = 256
# Messages waiting for a worker that does not read; honest traffic is a handful.
_MESSAGES_WAITING = 64
# Lines that a start file (.pth, sitecustomize) may print before our first statement runs.
_NOISE_LINES = 100
_MESSAGE_START = b'{"v":'
# After the end of a process its pipes end at once, unless something that escaped holds them open.
_PIPE_END_S = 2.0


@dataclass(frozen=True)
class WorkerExit:
    """How a process ended. `spawn_error` is set when it never began; then `exit_code` is None."""

    exit_code: int | None = None
    oom_kills_rose: bool = False
    spawn_error: OSError | None = None
    leftovers: tuple[int, ...] = ()


@dataclass(frozen=True)
class WorkerCallbacks:
    """Called on the event loop, in order; `exited` is the last call and comes exactly once."""

    spawned: Callable[[ProcessIdentity], None]
    message: Callable[[WorkerMessage], None]
    violated: Callable[[str], None]
    exited: Callable[[WorkerExit], None]


class WorkerProcess:
    """Drives one process. Methods are for the loop's thread."""

    def __init__(
        self,
        *,
        worker_id: str,
        argv: list[str],
        env: Mapping[str, str],
        cwd: Path,
        log_pipe: LogPipe,
        callbacks: WorkerCallbacks,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._worker_id = worker_id
        self._argv = argv
        self._env = env
        self._cwd = cwd
        self._log_pipe = log_pipe
        self._callbacks = callbacks
        self._loop = loop
        self._encoder = Encoder()
        self._outbox: queue.Queue[bytes | None] = queue.Queue()
        self._ahead = threading.Semaphore(_MESSAGES_AHEAD)
        self._lock = threading.Lock()
        self._tree: ProcessTree | None = None
        self._kill_wanted = False
        self._oom_before: int | None = None

    def start(self) -> None:
        """Spawn from a thread that lives exactly as long as the worker: the kernel's parent-death signal
        fires when the spawning *thread* ends, so a pool thread would kill its workers."""
        self.note_attempt()
        threading.Thread(target=self._live, name=f"life-{self._worker_id}", daemon=True).start()

    def send(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Queue one message. Raises MessageTooLongError, TypeError, ValueError."""
        line = self._encoder.encode(kind, fields)
        if self._outbox.qsize() >= _MESSAGES_WAITING:
            self._callbacks.violated("the worker does not read its messages")
            return
        self._outbox.put_nowait(line)

    def note_attempt(self) -> None:
        """From now on a risen OOM counter is evidence about the attempt that begins."""
        self._oom_before = oom_kills()

    def terminate(self) -> None:
        """Ask the whole tree to end."""
        with self._lock:
            tree = self._tree
        if tree is None:
            self.kill()  # not spawned yet: nothing to be polite to
        else:
            tree.terminate()

    def kill(self) -> None:
        """End the whole tree, also when it is only about to be spawned."""
        with self._lock:
            self._kill_wanted = True
            tree = self._tree
        if tree is not None:
            tree.kill()

    # --- life thread ---------------------------------------------------------------------------

    def _live(self) -> None:
        end = WorkerExit()  # what is said if the lines below fail: the process must not seem to live on
        try:
            end = self._live_and_die()
        finally:
            self.kill()
            self._outbox.put(None)
            self._post(self._callbacks.exited, end)

    def _live_and_die(self) -> WorkerExit:
        try:
            self._cwd.mkdir(parents=True, exist_ok=True)
            tree = spawn(self._argv, env=self._env, cwd=self._cwd, worker_id=self._worker_id)
        except OSError as error:
            return WorkerExit(spawn_error=error)
        with self._lock:
            self._tree = tree
            kill_wanted = self._kill_wanted
        if kill_wanted:
            tree.kill()
        self._post(self._callbacks.spawned, tree.identity)
        reader = self._thread("reader", self._read, tree.stdout)
        self._thread("writer", self._write, tree.stdin)
        self._log_pipe.start(tree.stderr)
        status = tree.wait()
        oom_after = oom_kills()
        rose = oom_after is not None and self._oom_before is not None and oom_after > self._oom_before
        self._outbox.put(None)
        reader.join(_PIPE_END_S)
        self._log_pipe.join(_PIPE_END_S)
        return WorkerExit(status, rose, None, tuple(tree.leftovers()))

    def _thread(self, role: str, target: Callable[[IO[bytes]], None], stream: IO[bytes]) -> threading.Thread:
        thread = threading.Thread(
            target=target, args=(stream,), name=f"{role}-{self._worker_id}", daemon=True
        )
        thread.start()
        return thread

    def _post(self, callback: Callable[[Any], None], argument: object) -> bool:
        """Call on the loop; False when the loop is gone and nobody listens any more."""
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:  # the loop is closed
            return False
        return True

    # --- writer thread -------------------------------------------------------------------------

    def _write(self, stream: IO[bytes]) -> None:
        broken = False
        while (line := self._outbox.get()) is not None:
            view = memoryview(line)
            while view and not broken:
                try:
                    view = view[os.write(stream.fileno(), view) :]
                except OSError:  # the worker is gone; its exit is reported by the life thread
                    broken = True
        stream.close()

    # --- reader thread -------------------------------------------------------------------------

    def _read(self, stream: IO[bytes]) -> None:
        decoder = Decoder()
        heard = False
        noise = 0
        with stream:
            try:
                for line in _lines(stream):
                    if not heard and not line.startswith(_MESSAGE_START) and noise < _NOISE_LINES:
                        noise += 1
                        self._log_pipe.structured("warning", "before start", line.decode("utf-8", "replace"))
                        continue
                    heard = True
                    if not self._hand_over(decoder.decode(line)):
                        return
            except ProtocolViolationError as error:
                self._post(self._callbacks.violated, str(error))
                while os.read(stream.fileno(), _READ_BYTES):  # let it die without blocking on a full pipe
                    pass

    def _hand_over(self, message: WorkerMessage | None) -> bool:
        if message is None:
            return True  # a type of a later version
        if isinstance(message, Log):  # needs no decision, so the loop is spared
            self._log_pipe.structured(message.level, message.logger, message.message)
            return True
        self._ahead.acquire()
        return self._post(self._deliver, message)

    def _deliver(self, message: WorkerMessage) -> None:
        self._ahead.release()
        self._callbacks.message(message)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines without their newline; what follows the last newline at end of file is no line."""
    pending = bytearray()
    while chunk := os.read(stream.fileno(), _READ_BYTES):
        pending += chunk
        start = 0
        while (end := pending.find(b"\n", start)) >= 0:
            yield bytes(pending[start:end])
            start = end + 1
        del pending[:start]
        if len(pending) > MAX_LINE_BYTES:
            raise ProtocolViolationError("a line is longer than 1 MiB")
