"""What is kept, and what goes to make room. Runs in the service process: hourly, and when somebody asks.

Ended jobs go by age or number, uploads that nothing needs after a day, videos and their intermediate files when they
outgrow the disk budget. What a job needs that has not ended never goes. Every step is a small transaction; the bytes
follow the rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backend.models.batch_records import Usage
from backend.models.disk import ReclaimRule
from backend.services.stage_io import AUDIO_FILE, PORTRAIT_FILE, RESULT_FILE, SILENT_FILE, TRACK_FILES
from backend.storage.checkpoints import JobParts
from backend.storage.retention import OldJobs
from backend.storage.store import Store
from backend.storage.sweep import MAX_BATCHES, SweepReport, collect, purge_deleted, unlink_files
from backend.utils.clock import Clock
from backend.utils.logger import app_logger

DAY_MS = 24 * 3600 * 1000
# An upload whose job was never sent is forgotten after this long; an idempotency key answers at least as long.
UNUSED_UPLOAD_MS = DAY_MS
KEY_KEPT_MS = DAY_MS
# A deleted job answers `gone` for this long, then its id is unknown.
GONE_KEPT_MS = DAY_MS
# Pages that follow a job have long seen its end by then.
PROGRESS_KEPT_MS = 3600 * 1000
# The log of webhooks: long enough to ask "did it arrive last week?".
DELIVERIES_KEPT_MS = 30 * DAY_MS
DELIVERIES_KEPT = 2000
# Finished parts of a job that failed or was cancelled: long enough to try again after a weekend.
PARTS_KEPT_MS = 7 * DAY_MS
# Later than any job ends.
_NEVER_MS = 2**62
# Needed to make the result, not to have it.
INTERMEDIATES = (SILENT_FILE, PORTRAIT_FILE, *TRACK_FILES)
# What is large of a result; subtitles, script and thumbnail stay for the list. A star keeps these, too.
RESULTS = (RESULT_FILE, AUDIO_FILE)


@dataclass(frozen=True)
class Limits:
    """From the settings; 0 means no limit."""

    keep_jobs_days: int
    keep_jobs: int
    budget_bytes: int


class Retention:
    """The rules by name. One at a time, whoever asks."""

    def __init__(
        self, *, store: Store, clock: Clock, limits: Limits, caches: tuple[tuple[Path, str], ...]
    ) -> None:
        """`caches`: folders and the pattern of what may be deleted in each at any time."""
        self._store = store
        self._clock = clock
        self._limits = limits
        self._caches = caches
        self._lock = asyncio.Lock()
        self._rules: dict[ReclaimRule, Callable[[], Awaitable[Usage]]] = {
            "old_jobs": self._drop_old_jobs,
            "unused_uploads": self._drop_unused,
            "intermediates": self._release_intermediates,
            "results": self._release_results,
            "caches": self._clear_caches,
            "database": self._tidy_database,
        }

    @property
    def limits(self) -> Limits:
        """What the settings say."""
        return self._limits

    def use(self, limits: Limits) -> None:
        """Other limits, from the next round on."""
        self._limits = limits

    async def run(self) -> Usage:
        """The hourly round: jobs, uploads, then the budget. Caches have bounds of their own and stay."""
        async with self._lock:
            gone = await self._drop_old_jobs()
            gone += await self._drop_unused()
            gone += await self._drop_parts(ended_since_ms=self._clock.now_ms() - PARTS_KEPT_MS)
            excess = await self._excess_bytes()
            if excess > 0:
                released = await self._release(INTERMEDIATES, excess)
                gone += released + await self._drop_parts(up_to_bytes=excess - released.size_bytes)
                gone += await self._release_results()
            await self._tidy_database()
        if gone.size_bytes:
            app_logger.info("retention: %d things and %d bytes went", gone.count, gone.size_bytes)
        return gone

    async def reclaim(self, rule: ReclaimRule) -> Usage:
        """Carry out one rule now; returns what went."""
        async with self._lock:
            return await self._rules[rule]()

    async def reclaimable(self) -> dict[ReclaimRule, Usage]:
        """What `reclaim` of each rule would free, by itself."""
        rows = self._store.retention
        unused = await rows.unneeded_usage(before_ms=self._clock.now_ms() - UNUSED_UPLOAD_MS)
        intermediates = await rows.releasable_usage(INTERMEDIATES)
        intermediates += sum((parts.usage for parts in await self._parts_of_ended()), Usage())
        results = await rows.releasable_usage(RESULTS, spare_starred=True)
        excess = max(0, await self._excess_bytes())
        return {
            "old_jobs": await rows.old_jobs_usage(self._old()),
            "unused_uploads": unused + await rows.to_purge_usage(),
            "intermediates": intermediates,
            "results": Usage(results.count if excess else 0, min(excess, results.size_bytes)),
            "caches": await asyncio.to_thread(self._caches_usage),
            "database": Usage(0, await rows.free_bytes()),
        }

    # -- the rules ---------------------------------------------------------------------------------
    def _old(self) -> OldJobs:
        now = self._clock.now_ms()
        days = self._limits.keep_jobs_days
        return OldJobs(
            before_ms=now - days * DAY_MS if days else 0,
            keep=self._limits.keep_jobs,
            key_before_ms=now - KEY_KEPT_MS,
        )

    async def _drop_old_jobs(self) -> Usage:
        gone = Usage()
        for _ in range(MAX_BATCHES):
            job_ids = await self._store.retention.old_jobs(self._old())
            if not job_ids:
                break
            for job_id in job_ids:
                deleted = await self._store.jobs.delete(job_id, spare_starred=True)
                if deleted.job.deleted_at is None:
                    continue  # somebody gave it a star since it was chosen
                files = deleted.files
                await unlink_files(self._store.files, self._store.blobs, files)
                parts = await self._store.checkpoints.drop(job_id)
                gone += Usage(1, sum(file.size_bytes for file in files) + parts.size_bytes)
        return gone

    async def _drop_unused(self) -> Usage:
        before_ms = self._clock.now_ms() - UNUSED_UPLOAD_MS
        return _usage(await collect(self._store.files, self._store.blobs, before_ms=before_ms))

    async def _release_intermediates(self) -> Usage:
        return await self._release(INTERMEDIATES, None) + await self._drop_parts()

    async def _drop_parts(self, *, ended_since_ms: int = _NEVER_MS, up_to_bytes: int | None = None) -> Usage:
        """Parts of jobs that are gone, have their video, or ended before; the oldest first."""
        gone = Usage()
        for parts in await self._parts_of_ended(ended_since_ms):
            if up_to_bytes is not None and gone.size_bytes >= up_to_bytes:
                break
            gone += await self._store.checkpoints.drop(parts.job_id)
        return gone

    async def _parts_of_ended(self, ended_since_ms: int = _NEVER_MS) -> list[JobParts]:
        found = await self._store.checkpoints.all()
        job_ids = [parts.job_id for parts in found]
        kept = await self._store.retention.repeatable(job_ids, ended_since_ms=ended_since_ms)
        return [parts for parts in found if parts.job_id not in kept]

    async def _release_results(self) -> Usage:
        excess = await self._excess_bytes()
        return await self._release(RESULTS, excess) if excess > 0 else Usage()

    async def _release(self, names: tuple[str, ...], up_to_bytes: int | None) -> Usage:
        gone = Usage()
        for _ in range(MAX_BATCHES):
            left = None if up_to_bytes is None else up_to_bytes - gone.size_bytes
            if left is not None and left <= 0:
                break
            files = await self._store.retention.release(
                names, up_to_bytes=left, spare_starred=names == RESULTS
            )
            if not files:
                break
            gone += _usage(await purge_deleted(self._store.files, self._store.blobs))
        return gone

    async def _excess_bytes(self) -> int:
        """Bytes of videos and intermediate files above the budget; not positive when there is room or no budget.

        Videos with a star do not count: they cannot go, and everything else would have to go for them.
        """
        if not self._limits.budget_bytes:
            return 0
        used = await self._store.retention.usage_by_kind(INTERMEDIATES)
        made = used.get("artifact", Usage()) + used.get("intermediate", Usage())
        made += sum((parts.usage for parts in await self._store.checkpoints.all()), Usage())
        starred = await self._store.retention.starred_usage(RESULTS)
        return made.size_bytes - starred.size_bytes - self._limits.budget_bytes

    async def _tidy_database(self) -> Usage:
        """Rows that nobody will ask for, then the pages that they leave."""
        rows, now = self._store.retention, self._clock.now_ms()
        count = 0
        steps: tuple[Callable[[], Awaitable[int]], ...] = (
            partial(rows.drop_progress_events, before_ms=now - PROGRESS_KEPT_MS),
            partial(rows.drop_old_deliveries, before_ms=now - DELIVERIES_KEPT_MS, keep=DELIVERIES_KEPT),
            partial(rows.drop_gone_jobs, before_ms=now - GONE_KEPT_MS),
            partial(rows.drop_gone_files, before_ms=now - GONE_KEPT_MS),
            partial(rows.drop_empty_batches, before_ms=now - KEY_KEPT_MS),
        )
        for drop in steps:
            for _ in range(MAX_BATCHES):
                dropped = await drop()
                count += dropped
                if not dropped:
                    break
        before = held = await rows.free_bytes()
        for _ in range(MAX_BATCHES):
            left = await rows.vacuum() if held else 0
            if left >= held:
                break
            held = left
        return Usage(count, before - held)

    # -- caches ------------------------------------------------------------------------------------
    async def _clear_caches(self) -> Usage:
        return await asyncio.to_thread(self._unlink_caches)

    def _caches_usage(self) -> Usage:
        sizes = [size for _, size in self._cached()]
        return Usage(len(sizes), sum(sizes))

    def _cached(self) -> list[tuple[Path, int]]:
        found = []
        for folder, pattern in self._caches:
            for path in folder.glob(pattern):
                try:
                    found.append((path, path.lstat().st_size))
                except FileNotFoundError:
                    continue  # its owner was faster
        return found

    def _unlink_caches(self) -> Usage:
        gone = Usage()
        for path, size in self._cached():
            try:
                path.unlink(missing_ok=True)
            except PermissionError:
                continue  # Windows: somebody listens to it; it goes another time. Not tested on Windows.
            gone += Usage(1, size)
        return gone


def _usage(report: SweepReport) -> Usage:
    return Usage(report.files, report.freed_bytes)
