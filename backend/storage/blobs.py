"""Bytes on disk that survive a power cut: written beside their place, synced, then renamed into it.

Runs in the service process; every disk call runs on a thread. Order of a durable write: a new folder is
synced into its parent, data, fsync of the file, rename, fsync of the folder (man 2 fsync: "does not
necessarily ensure that the entry in the directory containing the file has also reached disk"). Only then
may a row name the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import AsyncIterable, Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.file_records import StoredBlob
from backend.storage.errors import StoreError, translate_os
from backend.storage.paths import resolve_below

T = TypeVar("T")

PARTIAL_SUFFIX = ".part"
_CHUNK_BYTES = 1 << 20
# Windows: a virus scanner may hold a fresh file open for a moment; renaming it then is refused.
_RENAME_TRIES = 8
_RENAME_FIRST_WAIT_S = 0.02


class _Partial:
    """A file under a temporary name. Its own lock: a cancelled caller closes it while a write may run."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
        self._lock = threading.Lock()
        self._hash = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO | None = None

    def open(self) -> None:
        make_folder(self._target.parent)
        with self._lock:
            self._file = self._path.open("xb")

    def write(self, chunk: bytes) -> None:
        with self._lock:
            if self._file is None:
                raise ValueError("the file is closed")
            self._file.write(chunk)
            self._hash.update(chunk)
            self._size += len(chunk)

    def commit(self) -> tuple[int, str]:
        with self._lock:
            if self._file is None:
                raise ValueError("the file is closed")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            replace_durably(self._path, self._target)
            return self._size, self._hash.hexdigest()

    def discard(self) -> None:
        with self._lock:
            if self._file is not None:
                # A full disk shows itself again when the buffer is flushed; the file goes anyway.
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None
            self._path.unlink(missing_ok=True)


class BlobStore:
    """Files below one root. Paths are relative to it, with forward slashes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder all paths are relative to."""
        return self._root

    def path_of(self, rel_path: str) -> Path:
        """The absolute path; raises `RequestError` when it would lie outside, also through a link."""
        return resolve_below(self._root, rel_path)

    def rel_path_of(self, path: Path) -> str:
        """The path below the root, as rows store it. Raises `ValueError` outside."""
        return path.resolve().relative_to(self._root.resolve()).as_posix()

    async def write_stream(
        self, chunks: AsyncIterable[bytes], rel_path: str, *, max_bytes: int
    ) -> StoredBlob:
        """Write what arrives, at most `max_bytes`; raises `too_large` after the first byte too many.

        Whatever goes wrong, a cancelled caller included, no partial file stays.
        """
        partial = _Partial(self.path_of(rel_path))
        try:
            await run_on_thread(partial.open)
            received = 0
            async for chunk in chunks:
                received += len(chunk)
                if received > max_bytes:
                    raise RequestError(
                        ErrorCode.TOO_LARGE,
                        f"The file is larger than the {max_bytes / 2**20:.0f} MiB that are allowed.",
                        hint="Send a smaller file.",
                    )
                await run_on_thread(partial.write, chunk)
            size, digest = await run_on_thread(partial.commit)
        except BaseException:
            await run_on_thread(partial.discard)
            raise
        return StoredBlob(rel_path=rel_path, size_bytes=size, sha256=digest)

    async def write_bytes(self, data: bytes, rel_path: str) -> StoredBlob:
        """Write bytes that are in memory already."""
        return await self.write_stream(_one_chunk(data), rel_path, max_bytes=len(data))

    async def adopt(self, source: Path, rel_path: str) -> StoredBlob:
        """Move a finished file (of an attempt's folder) to its place: hashed, synced, renamed.

        `source` must be a plain file below the root, not a link. Raises `no_output` when it is missing
        or empty.
        """
        target = self.path_of(rel_path)
        size, digest = await run_on_thread(self._adopt, source, target)
        return StoredBlob(rel_path=rel_path, size_bytes=size, sha256=digest)

    def _adopt(self, source: Path, target: Path) -> tuple[int, str]:
        inside = self._root.resolve() in source.parent.resolve().parents
        try:
            found = source.lstat()
        except FileNotFoundError:
            found = None
        if found is None or not inside or not stat.S_ISREG(found.st_mode) or found.st_size == 0:
            raise StoreError(ErrorCode.NO_OUTPUT, "The engine left no file where it said it would.")
        make_folder(target.parent)
        with source.open("r+b") as file:
            digest, size = _hash_file(file)
            os.fsync(file.fileno())
        try:
            replace_durably(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, target)
            source.unlink()
        return size, digest

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        partial = _Partial(target)
        try:
            partial.open()
            with source.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    partial.write(chunk)
            partial.commit()
        except BaseException:
            partial.discard()
            raise

    async def verify(self, blob: StoredBlob) -> bool:
        """Whether the file is there with the size and hash its row has."""

        def check() -> bool:
            try:
                with self.path_of(blob.rel_path).open("rb") as file:
                    digest, size = _hash_file(file)
            except FileNotFoundError:
                return False
            return (size, digest) == (blob.size_bytes, blob.sha256)

        return await run_on_thread(check)

    async def delete(self, rel_path: str) -> bool:
        """Unlink a file; returns whether there was one."""
        path = self.path_of(rel_path)

        def unlink() -> bool:
            try:
                _patiently(path.unlink)
            except FileNotFoundError:
                return False
            return True

        return await run_on_thread(unlink)

    async def delete_tree(self, rel_path: str) -> None:
        """Remove a folder with all it holds (an attempt's folder). Missing is fine; links are not followed."""
        path = self.path_of(rel_path)
        await run_on_thread(lambda: _patiently(lambda: _remove_tree(path)))


def _remove_tree(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


async def _one_chunk(data: bytes) -> AsyncIterable[bytes]:
    yield data


def _hash_file(file: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; each new name is synced, so that a power cut cannot take it back."""
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def replace_durably(source: Path, target: Path) -> None:
    """Rename over `target` and sync both folders. `source` was synced before."""
    _patiently(lambda: source.replace(target))
    _sync_folder(target.parent)
    if source.parent != target.parent:
        _sync_folder(source.parent)


def _patiently(action: Callable[[], T]) -> T:
    wait_s = _RENAME_FIRST_WAIT_S
    for _ in range(_RENAME_TRIES - 1):
        try:
            return action()
        except PermissionError:
            time.sleep(wait_s)
            wait_s *= 2
    return action()


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # Windows cannot open a folder; NTFS journals the rename itself. Not tested on Windows.
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def run_on_thread(action: Callable[..., T], *args: object) -> T:
    """Run a disk call on a thread; its OSError becomes the store's.

    Shielded: a cancelled caller must not clean up under a call that still runs, so the call is awaited
    to its end first.
    """
    task = asyncio.ensure_future(asyncio.to_thread(action, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen; the cancel is what the caller hears of
        raise
    except OSError as error:
        raise translate_os(error) from error
