"""Downloads one large file so that a bad network costs time and never trust. Runs in the service process.

A file is known by size and hash before its first byte is asked for. Bytes go into `<name>.part`, which survives a
crash and is continued with a Range request (RFC 9110, 14.2); a note beside it says which bytes they are the
beginning of. Only a file whose hash is right is renamed to its place, so a half or altered file is never used.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.digests import Digest, HashingStopped, hash_file
from backend.utils.download_http import TransferTrouble, opened
from backend.utils.logger import app_logger

PART_SUFFIX = ".part"
NOTE_SUFFIX = ".part.json"
# Bytes that are written to the disk at once, and so the most that a killed process loses of what had come.
FLUSH_BYTES = 1 << 20
# An address is tried this often in a row without any bytes worth the name; what has come is kept between tries.
TRIES = 3
FIRST_PAUSE_S = 1.0
# A try that brought this much was a good one: the line is bad, but it moves.
GOOD_BYTES = 1 << 20
# Slower than this over the whole window is a stall with drops in it: another try, or another address, does better.
SLOW_WINDOW_S = 120.0
SLOW_BYTES = 128 << 10
# Windows: a virus scanner may hold a fresh file for a moment; renaming it then is refused.
_RENAME_TRIES = 8
_RENAME_FIRST_WAIT_S = 0.02

Progress = Callable[[int], None]


@dataclass(frozen=True)
class WantedFile:
    """What must lie at the target in the end: exact size, and hash."""

    size_bytes: int
    digest: Digest


@dataclass(frozen=True)
class Steps:
    """Who hears of what: `received(bytes of the file that are there)`, `checking()` before the hash is made."""

    received: Progress = lambda _bytes: None
    checking: Callable[[], None] = lambda: None


async def download(
    client: httpx.AsyncClient,
    address: str,
    wanted: WantedFile,
    target: Path,
    steps: Steps = Steps(),
) -> Digest:
    """Bring `wanted` from `address` to `target`; returns its SHA-256.

    What an earlier call left in the part file is used when it is the beginning of the same bytes. Raises
    TransferTrouble when this address does not deliver them, EngineFailure(disk_full). Cancelling keeps what has come.
    """
    part = _Part(target, wanted)
    await asyncio.to_thread(part.prepare)
    tries = 0
    while True:
        before = await asyncio.to_thread(part.size)
        try:
            await _fetch_rest(client, address, wanted, part, steps)
            return await _settle(part, wanted, target, steps)
        except _WrongBytes as error:
            # What was kept from before may have been the wrong beginning; a whole new file is the proof.
            await asyncio.to_thread(part.discard)
            if not before:
                raise TransferTrouble("the bytes are not the expected ones", again=False) from error
            app_logger.warning(
                "download of %s: the bytes are not the expected ones; from the start", target.name
            )
            continue
        except TransferTrouble as trouble:
            came = await asyncio.to_thread(part.size) - before
            tries = 1 if came >= GOOD_BYTES else tries + 1
            if not trouble.again or tries >= TRIES:
                raise
            app_logger.warning("download of %s: %s; trying again", target.name, trouble)
            wait_s = FIRST_PAUSE_S * 2.0 ** (tries - 1) if trouble.wait_s is None else trouble.wait_s
        await asyncio.sleep(wait_s)


class _WrongBytes(Exception):
    """The file is whole and is not the one that was wanted."""


async def _fetch_rest(
    client: httpx.AsyncClient, address: str, wanted: WantedFile, part: _Part, steps: Steps
) -> None:
    done = await asyncio.to_thread(part.size)
    if done == wanted.size_bytes:
        return
    headers = {}
    if done:
        headers["Range"] = f"bytes={done}-"
        # Strong tags only (RFC 9110 13.1.5): whatever the server has under this name now, no mixture comes out.
        if part.etag and not part.etag.startswith("W/") and part.address == _nameless(address):
            headers["If-Range"] = part.etag
    if not await _take(client, address, wanted, part, steps, headers):
        # It knows no such range of what it has: perhaps the whole file then, which would begin anew.
        await _take(client, address, wanted, part, steps, {})
    if (done := await asyncio.to_thread(part.size)) < wanted.size_bytes:
        raise TransferTrouble(
            f"the line ended after {done} of {wanted.size_bytes} bytes", again=True, network=True
        )


async def _take(
    client: httpx.AsyncClient,
    address: str,
    wanted: WantedFile,
    part: _Part,
    steps: Steps,
    headers: Mapping[str, str],
) -> bool:
    """One request and its body. False when the server refuses the range that was asked for."""
    async with opened(client, "GET", address, headers) as answer:
        response = answer.response
        if headers and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return False
        done = _begin(response, wanted, await asyncio.to_thread(part.size) if headers else 0)
        if done == 0:
            await asyncio.to_thread(part.discard)
        await asyncio.to_thread(part.note, response.headers.get("etag"), _nameless(address))
        sink = _Sink(part.path)
        try:
            await _pour(response, sink, wanted, done, steps)
        finally:
            await asyncio.shield(asyncio.to_thread(sink.close))
    return True


def _begin(response: httpx.Response, wanted: WantedFile, done: int) -> int:
    """How many bytes that are there already this answer goes on from. Raises when it cannot be our file."""
    encoded = response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", "")
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise TransferTrouble("the server has no such file", again=False)
    if response.status_code == httpx.codes.OK:
        length = response.headers.get("content-length", "")
        if not encoded and length.isdigit() and int(length) != wanted.size_bytes:
            raise TransferTrouble(
                f"the server has another file: {length} instead of {wanted.size_bytes} bytes", again=False
            )
        return 0  # the server ignores ranges, or its file changed: from the beginning
    if not done:
        raise TransferTrouble("the server sent a part that nobody asked for", again=False)
    match = re.fullmatch(
        r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", response.headers.get("content-range", ""), re.ASCII
    )
    if encoded or match is None or int(match[1]) != done:
        raise TransferTrouble("the server sent another part than was asked for", again=False)
    if match[3] != "*" and int(match[3]) != wanted.size_bytes:
        raise TransferTrouble(
            f"the server has another file: {match[3]} instead of {wanted.size_bytes} bytes", again=False
        )
    return done


async def _pour(response: httpx.Response, sink: _Sink, wanted: WantedFile, done: int, steps: Steps) -> None:
    window_from, window_bytes = time.monotonic(), 0
    async for chunk in response.aiter_bytes():
        done += len(chunk)
        if done > wanted.size_bytes:
            raise TransferTrouble("the server sent more bytes than the file has", again=False)
        if sink.take(chunk):
            await asyncio.to_thread(sink.flush)
        steps.received(done)
        window_bytes += len(chunk)
        now = time.monotonic()
        if now - window_from >= SLOW_WINDOW_S:
            if window_bytes < SLOW_BYTES:
                raise TransferTrouble("the line nearly stands still", again=True, network=True)
            window_from, window_bytes = now, 0


async def _settle(part: _Part, wanted: WantedFile, target: Path, steps: Steps) -> Digest:
    """Check the whole file by reading it back, and put it into its place."""
    steps.checking()
    gone = threading.Event()
    try:
        sha256, git = await asyncio.to_thread(hash_file, part.path, stopped=gone.is_set)
    except asyncio.CancelledError:
        gone.set()
        raise
    except HashingStopped as error:
        raise TransferTrouble("the check was stopped", again=True) from error
    if wanted.digest not in (sha256, git):
        raise _WrongBytes
    await asyncio.to_thread(part.commit, target)
    return sha256


def _nameless(address: str) -> str:
    """An address for the note: no password, no query."""
    return str(httpx.URL(address).copy_with(username=None, password=None, query=None, fragment=None))


class _Part:
    """The file that is being made, and the note that says of what it is the beginning. Methods block."""

    def __init__(self, target: Path, wanted: WantedFile) -> None:
        self.path = target.with_name(target.name + PART_SUFFIX)
        self._note = target.with_name(target.name + NOTE_SUFFIX)
        self._wanted = wanted
        self.etag: str | None = None
        self.address: str | None = None

    def prepare(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        note = self._read_note()
        if self.size() and (
            note.get("digest") != str(self._wanted.digest) or self.size() > self._wanted.size_bytes
        ):
            self.discard()
            return
        self.etag, self.address = note.get("etag"), note.get("address")

    def _read_note(self) -> dict[str, str]:
        try:
            read = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {k: v for k, v in read.items() if isinstance(v, str)} if isinstance(read, dict) else {}

    def note(self, etag: str | None, address: str) -> None:
        # Not synced: a note that a power cut took away costs the part file, never more.
        self.etag, self.address = etag, address
        text = json.dumps({"digest": str(self._wanted.digest), "etag": etag, "address": address})
        with _disk_words():
            self._note.write_text(text, encoding="utf-8")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.etag = self.address = None

    def commit(self, target: Path) -> None:
        with _disk_words():
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())
            _patiently_replace(self.path, target)
        self._note.unlink(missing_ok=True)


class _Sink:
    """Appends to a file in pieces of a megabyte. Its own lock: a cancelled caller closes it while a write may run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._file: BinaryIO | None = None
        self._closed = False

    def take(self, chunk: bytes) -> bool:
        """Keep a chunk for later; whether it is time to flush."""
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        return self._waiting_bytes >= FLUSH_BYTES

    def flush(self) -> None:
        with self._lock, _disk_words():
            if self._closed:
                return
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
            view = memoryview(b"".join(waiting))
            while view:
                view = view[self._file.write(view) :]

    def close(self) -> None:
        try:
            self.flush()
        finally:
            with self._lock:
                self._closed = True
                if self._file is not None:
                    self._file.close()


@contextlib.contextmanager
def _disk_words() -> Iterator[None]:
    """A full disk in the words of the product; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}:
            raise EngineFailure(
                ErrorCode.DISK_FULL,
                "The disk that holds the models is full.",
                hint="Free some space, then resume the download; what has arrived is kept.",
            ) from error
        raise


def _patiently_replace(source: Path, target: Path) -> None:
    wait_s = _RENAME_FIRST_WAIT_S
    for _ in range(_RENAME_TRIES - 1):
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(wait_s)
            wait_s *= 2
        else:
            return
    source.replace(target)
