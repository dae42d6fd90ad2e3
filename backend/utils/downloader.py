"""Downloads one large file so that a bad network costs time and never trust. Runs in the service process.

A model file is known by size and SHA-256 before it is fetched. Bytes go into `<name>.part`, which survives a
crash and is continued with a Range request (RFC 9110, 14.2); several mirrors are tried in turn; only a file
whose hash is right is renamed to its place, so a half or altered file is never used.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.logger import app_logger

CHUNK_BYTES = 1 << 20
# Silence on the line, not the whole download: 20 GB over a slow path take hours.
READ_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 20.0
# Each mirror is asked this often; what has arrived is kept between tries.
TRIES_PER_MIRROR = 3
FIRST_PAUSE_S = 1.0
# Room that must stay on the disk after the file: a full system disk takes the whole machine down.
SPARE_BYTES = 512 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RemoteFile:
    """What to fetch. `urls` are mirrors of the same bytes, best first; `sha256` is lower-case hex."""

    urls: Sequence[str]
    size_bytes: int
    sha256: str


class _TryElsewhere(Exception):
    """This address did not deliver; the text is for the log."""


async def download(
    remote: RemoteFile,
    target: Path,
    *,
    progress: Progress = lambda _done, _total: None,
    cancelled: Callable[[], bool] = lambda: False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> None:
    """Fetch `remote` to `target`; returns at once when it is there already with the right hash.

    `progress(done_bytes, total_bytes)` is called per chunk. Raises EngineFailure: disk_full before the first
    byte, model_download when no mirror delivers; JobCancelled. What has arrived stays for the next call.
    """
    if await asyncio.to_thread(_is_right, target, remote):
        progress(remote.size_bytes, remote.size_bytes)
        return
    part = target.with_name(target.name + ".part")
    await asyncio.to_thread(_prepare, part, remote)
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    # trust_env: model files come through the proxy that the user has set for this machine.
    async with httpx.AsyncClient(timeout=timeout, follow_redirects=True, transport=transport) as client:
        for url in remote.urls:
            if await _from_mirror(client, url, remote, part, progress, cancelled):
                await asyncio.to_thread(_commit, part, target)
                return
    raise EngineFailure(
        ErrorCode.MODEL_DOWNLOAD,
        f"The file {target.name} could not be downloaded from any address.",
        hint="Check the network or proxy, or set HF_ENDPOINT to a mirror; what has arrived is kept.",
        retryable=True,
    )


async def _from_mirror(
    client: httpx.AsyncClient,
    url: str,
    remote: RemoteFile,
    part: Path,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> bool:
    """Whether `part` is complete and right after at most TRIES_PER_MIRROR tries."""
    pause_s = FIRST_PAUSE_S
    for number in range(TRIES_PER_MIRROR):
        if number:
            await asyncio.sleep(pause_s)
            pause_s *= 2
        try:
            await _fetch_rest(client, url, remote, part, progress, cancelled)
        except (_TryElsewhere, httpx.HTTPError) as error:
            app_logger.warning("download of %s: try %d failed: %s", part.name, number + 1, error)
            continue
        if await asyncio.to_thread(_is_right, part, remote):
            return True
        app_logger.warning("download of %s: the bytes are not the expected ones; starting over", part.name)
        await asyncio.to_thread(part.unlink, missing_ok=True)
    return False


async def _fetch_rest(
    client: httpx.AsyncClient,
    url: str,
    remote: RemoteFile,
    part: Path,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> None:
    done = await asyncio.to_thread(_size_of, part)
    if done >= remote.size_bytes:
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    async with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.OK:
            done = 0  # the server ignores ranges: from the beginning
        elif answer.status_code != httpx.codes.PARTIAL_CONTENT:
            raise _TryElsewhere(f"HTTP {answer.status_code}")
        file = await asyncio.to_thread(part.open, "ab" if done else "wb")
        try:
            async for chunk in answer.aiter_bytes(CHUNK_BYTES):
                if cancelled():
                    raise JobCancelled
                done += len(chunk)
                if done > remote.size_bytes:
                    raise _TryElsewhere("more bytes than announced")
                await asyncio.to_thread(file.write, chunk)
                progress(done, remote.size_bytes)
        finally:
            await asyncio.to_thread(file.close)
    if done < remote.size_bytes:
        raise _TryElsewhere(f"ended after {done} of {remote.size_bytes} bytes")


def _prepare(part: Path, remote: RemoteFile) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    have = _size_of(part)
    if have > remote.size_bytes:
        part.unlink()
        have = 0
    if shutil.disk_usage(part.parent).free < remote.size_bytes - have + SPARE_BYTES:
        raise EngineFailure(
            ErrorCode.DISK_FULL,
            f"The disk has no room for {remote.size_bytes / 2**30:.1f} GB more.",
            hint="Free some space, or move HF_HOME or DATA_DIR to a larger disk in .env.",
        )


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_right(path: Path, remote: RemoteFile) -> bool:
    if _size_of(path) != remote.size_bytes or not path.is_file():
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == remote.sha256


def _commit(part: Path, target: Path) -> None:
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.replace(target)
