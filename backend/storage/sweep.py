"""Brings disk and rows together again: unlinks what rows call deleted, and files that no row knows.

Runs in the service process, at start and from the retention task. Only names that this service makes are
ever touched: pictures that a user puts into data/uploads by hand stay, and so do folders in data/outputs
that are not named after a job.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.models.errors import ProductError
from backend.models.file_records import FileRecord
from backend.storage.blobs import PARTIAL_SUFFIX, BlobStore, run_on_thread
from backend.storage.files import BATCH, FilesRepository
from backend.utils.logger import app_logger

# A file is durable before its row is written; this long after, a missing row means a crash between.
ORPHAN_AGE_S = 3600.0
# Batches of one run: a bound, not a target; what is left goes with the next run.
MAX_BATCHES = 1000
# Files that could not be deleted, after which a run gives up: something is wrong with the whole disk.
MAX_STUCK = 1000
_UPLOAD = re.compile(r"uploads/file_[a-z0-9]{8,32}\.[a-z0-9]{1,8}")
_OUTPUT = re.compile(r"outputs/(job_[a-z0-9]{8,32})/[^/]+")
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}" + re.escape(PARTIAL_SUFFIX))


@dataclass(frozen=True)
class SweepReport:
    """What went, in files and bytes."""

    files: int
    freed_bytes: int


@dataclass(frozen=True)
class _Candidate:
    rel_path: str
    size_bytes: int
    job_id: str | None


async def purge_deleted(files: FilesRepository, blobs: BlobStore) -> SweepReport:
    """Unlink the bytes of files whose rows are marked deleted.

    A file that cannot go now (a player holds it, somebody put a folder in its place) is passed over and tried
    again in the next run.
    """
    count = freed = 0
    stuck: set[str] = set()
    for _ in range(MAX_BATCHES):
        batch = await files.to_purge(BATCH, besides=stuck)
        if not batch or len(stuck) > MAX_STUCK:
            break
        gone = await _unlink(blobs, batch)
        stuck |= {record.file_id for record in batch} - {record.file_id for record in gone}
        await files.mark_purged([record.file_id for record in gone])
        freed += sum(record.size_bytes for record in gone)
        count += len(gone)
    return SweepReport(count, freed)


async def unlink_files(files: FilesRepository, blobs: BlobStore, records: Sequence[FileRecord]) -> None:
    """Unlink files that a verb just marked deleted (`DeletedJob.files`, `voices.delete`).

    What cannot go now is left to `purge_deleted`.
    """
    gone = await _unlink(blobs, records)
    if gone:
        await files.mark_purged([record.file_id for record in gone])


async def _unlink(blobs: BlobStore, records: Sequence[FileRecord]) -> list[FileRecord]:
    """Those whose bytes are gone now."""
    gone = []
    for record in records:
        try:
            await blobs.delete(record.rel_path)
        except (OSError, ProductError) as error:
            app_logger.warning("%s cannot be deleted yet: %s", record.rel_path, error)
        else:
            gone.append(record)
    return gone


async def collect(files: FilesRepository, blobs: BlobStore, *, before_ms: int) -> SweepReport:
    """Delete files older than `before_ms` (ms UTC) that nothing needs, rows first, bytes after."""
    for _ in range(MAX_BATCHES):
        batch = await files.collectable(before_ms=before_ms)
        if not batch or not await files.mark_deleted([record.file_id for record in batch]):
            break
    return await purge_deleted(files, blobs)


async def sweep_orphans(
    files: FilesRepository, blobs: BlobStore, *, now_s: float, min_age_s: float = ORPHAN_AGE_S
) -> SweepReport:
    """Unlink our files that have no row, and partial files, when older than `min_age_s`.

    `now_s`: seconds since 1970 on the clock that stamps files.
    """
    candidates = await run_on_thread(lambda: list(_candidates(blobs.root, now_s - min_age_s)))
    count = freed = 0
    for start in range(0, len(candidates), BATCH):
        batch = candidates[start : start + BATCH]
        at_work = await files.jobs_at_work({item.job_id for item in batch if item.job_id})
        known = await files.known_paths([item.rel_path for item in batch])
        for item in batch:
            if item.rel_path in known or item.job_id in at_work:
                continue
            try:
                went = await blobs.delete(item.rel_path)
            except (OSError, ProductError) as error:
                app_logger.warning("%s cannot be deleted yet: %s", item.rel_path, error)
                continue
            if went:
                count += 1
                freed += item.size_bytes
    await run_on_thread(lambda: _drop_empty_folders(blobs.root / "outputs", now_s - min_age_s))
    return SweepReport(count, freed)


async def clear_work(blobs: BlobStore) -> None:
    """Empty data/work: at start, under the instance lock, no attempt is alive that could need it."""
    for name in await run_on_thread(lambda: _entries(blobs.root / "work")):
        await blobs.delete_tree(f"work/{name}")


def _candidates(root: Path, older_than_s: float) -> Iterator[_Candidate]:
    base = root.resolve()
    for folder in ("uploads", "outputs"):
        for parent, _, names in os.walk(base / folder):
            for name in names:
                path = Path(parent) / name
                rel_path = path.relative_to(base).as_posix()
                output = _OUTPUT.fullmatch(rel_path)
                if not (output or _UPLOAD.fullmatch(rel_path) or _PARTIAL.fullmatch(name)):
                    continue
                try:
                    found = path.lstat()
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_mtime < older_than_s:
                    yield _Candidate(rel_path, found.st_size, output[1] if output else None)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return []


def _drop_empty_folders(folder: Path, older_than_s: float) -> None:
    for name in _entries(folder):
        # A folder that is not empty refuses, and that is the check. A fresh one is about to be filled.
        with contextlib.suppress(OSError):
            if (folder / name).stat().st_mtime < older_than_s:
                (folder / name).rmdir()
