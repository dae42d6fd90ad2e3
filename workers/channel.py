"""The worker's end of the pipe: one ASCII JSON object per line over private descriptors. Worker process.

Standard library only. Stdin and stdout belong to the protocol only until `claim_standard_streams`
has moved them away; from then on whatever foreign code prints, by any route, reaches the log pipe
(stderr) and can never be taken for a message.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from workers.messages import (
    EXIT_PARENT_GONE,
    MAX_LINE_BYTES,
    PARENT_TO_WORKER,
    PROTOCOL_VERSION,
    WORKER_TO_PARENT,
)

_READ_BYTES = 64 * 1024  # the usual capacity of a pipe
_CLOSED = -1


class ProtocolViolationError(Exception):
    """A line from the service is not a message of this protocol; the worker cannot go on."""


class MessageTooLongError(ValueError):
    """A message of ours would exceed `MAX_LINE_BYTES`."""


def claim_standard_streams() -> tuple[int, int]:
    """Move the protocol to private descriptors and return (incoming, outgoing).

    Afterwards descriptor 0 reads nothing, 1 and 2 are the log pipe. The private descriptors are not
    inherited by programs that are started from here, so end-of-file on them means *this* process died.
    """
    incoming = os.dup(0)
    outgoing = os.dup(1)
    if sys.platform == "win32":  # not tested on Windows: descriptors may start in text mode
        import msvcrt

        msvcrt.setmode(incoming, os.O_BINARY)
        msvcrt.setmode(outgoing, os.O_BINARY)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    # The old objects stay alive as sys.__stdin__ and so on: if they were collected they would close
    # descriptors 0 to 2 under the new ones.
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "r", closefd=False), encoding="utf-8", errors="replace")
    sys.stdout = _log_stream(1)
    sys.stderr = _log_stream(2)
    return incoming, outgoing


def _log_stream(descriptor: int) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class Channel:
    """Sends and receives protocol messages. `send` may be called from any thread."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sent = 0
        self._received = 0
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            # A forked child (multiprocessing) must neither speak for us nor keep the pipe open.
            os.register_at_fork(after_in_child=self._abandon)

    def _abandon(self) -> None:
        for descriptor in (self._incoming, self._outgoing):
            if descriptor != _CLOSED:
                os.close(descriptor)
        self._incoming = self._outgoing = _CLOSED
        self._lock = threading.Lock()

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message. Raises TypeError/ValueError for values JSON has no word for.

        Ends the process with 71 when nobody can read any more.
        """
        unknown = set(fields) - set(WORKER_TO_PARENT[kind])
        if unknown:
            raise ValueError(f"message {kind!r} has no field {sorted(unknown)}")
        body = json.dumps(fields, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        with self._lock:
            head = f'{{"v":{PROTOCOL_VERSION},"seq":{self._sent},"type":"{kind}"'
            line = (head + ("," + body[1:] if fields else "}") + "\n").encode("ascii")
            if len(line) > MAX_LINE_BYTES:
                raise MessageTooLongError(f"a {kind!r} message of {len(line)} bytes is too long")
            self._sent += 1
            self._write(line)

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._outgoing, view) :]
        except OSError:  # EPIPE (EINVAL on Windows): nobody reads; EBADF: the engine closed our descriptor
            os._exit(EXIT_PARENT_GONE)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield messages until end of file. Raises `ProtocolViolationError`."""
        pending = bytearray()
        while True:
            chunk = os.read(self._incoming, _READ_BYTES)
            if not chunk:
                return
            pending += chunk
            while (end := pending.find(b"\n")) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                yield self._decode(line)
            if len(pending) > MAX_LINE_BYTES:
                raise ProtocolViolationError("a line is longer than 1 MiB")

    def _decode(self, line: bytes) -> dict[str, Any]:
        if len(line) > MAX_LINE_BYTES:
            raise ProtocolViolationError("a line is longer than 1 MiB")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolViolationError(f"a line is not JSON: {error}") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise ProtocolViolationError("a line is not a message")
        if message.get("v") != PROTOCOL_VERSION:
            raise ProtocolViolationError(f"protocol version {message.get('v')!r} is not {PROTOCOL_VERSION}")
        if message.get("seq") != self._received:
            raise ProtocolViolationError(f"message {self._received} came as {message.get('seq')!r}")
        self._received += 1
        missing = [name for name in PARENT_TO_WORKER.get(message["type"], ()) if name not in message]
        if missing:
            raise ProtocolViolationError(f"{message['type']!r} lacks {missing}")
        return message
