"""What may go to make room, and how much it is: the SQL of the retention rules. Runs in the service process.

Each verb is one small transaction and says whether there is more; the rules themselves are in
`services/retention.py`. What a job needs that has not ended is never chosen: the statements ask `file_holders`
and the states, and the database's triggers refuse the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.models.batch_records import Usage
from backend.models.file_records import FileRecord
from backend.storage.db import Database, Transaction
from backend.storage.files import BATCH, MARK_DELETED, UNNEEDED
from backend.storage.job_rows import dump, file_from_row
from backend.utils.clock import Clock

# Pages that one vacuum transaction gives back: 1 MiB at SQLite's usual 4 KiB a page.
VACUUM_PAGES = 256
# Stands for "no limit" where a number of jobs is asked for.
_NO_LIMIT = 2**62

# Newest first by their end. Spared: jobs with a star, those whose idempotency key must still answer, and those whose
# webhooks are owed.
_OLD = """
SELECT j.job_id FROM jobs j WHERE j.finished_at IS NOT NULL AND j.deleted_at IS NULL AND j.starred = 0
  AND (j.finished_at < :before OR j.finished_at < (
    SELECT k.finished_at FROM jobs k WHERE k.finished_at IS NOT NULL AND k.deleted_at IS NULL
    ORDER BY k.finished_at DESC LIMIT 1 OFFSET :keep - 1))
  AND NOT (j.idempotency_key IS NOT NULL AND j.created_at >= :key_before)
  AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.job_id = j.job_id AND d.state = 'pending')
"""
OLD_JOBS = f"{_OLD} ORDER BY j.finished_at LIMIT :limit"
OLD_JOBS_USAGE = f"""
WITH old AS MATERIALIZED ({_OLD})
SELECT (SELECT count(*) FROM old) AS things, COALESCE(SUM(f.bytes), 0) AS bytes FROM files f
WHERE f.deleted_at IS NULL
  AND f.file_id IN (SELECT a.file_id FROM artifacts a WHERE a.job_id IN (SELECT job_id FROM old))
  AND NOT EXISTS (SELECT 1 FROM file_holders h WHERE h.file_id = f.file_id
                  AND h.holder NOT IN (SELECT job_id FROM old))
"""

_STARRED = """EXISTS (SELECT 1 FROM artifacts a JOIN jobs j USING (job_id)
                                      WHERE a.file_id = f.file_id AND j.starred = 1 AND j.deleted_at IS NULL)"""
_NAMED = "EXISTS (SELECT 1 FROM json_each(:names) n WHERE {table}.rel_path GLOB '*/' || n.value)"
# Files of jobs that have all ended. A retry that waits or runs has rows of its own for what it shares.
_RELEASABLE = f"""
FROM files f WHERE f.kind = 'artifact' AND f.deleted_at IS NULL AND {_NAMED.format(table="f")}
  AND NOT EXISTS (SELECT 1 FROM artifacts a JOIN jobs j USING (job_id)
                  WHERE a.file_id = f.file_id AND j.finished_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM job_inputs i JOIN jobs j USING (job_id)
                  WHERE i.file_id = f.file_id AND j.finished_at IS NULL)
  AND NOT (:spare_starred AND {_STARRED})
"""
STARRED_USAGE = f"""
SELECT count(*) AS things, COALESCE(SUM(f.bytes), 0) AS bytes FROM files f
WHERE f.kind = 'artifact' AND f.deleted_at IS NULL AND {_NAMED.format(table="f")} AND {_STARRED}
"""
RELEASABLE = f"SELECT f.* {_RELEASABLE} ORDER BY f.created_at, f.file_id LIMIT :limit"
RELEASABLE_USAGE = f"SELECT count(*) AS things, COALESCE(SUM(f.bytes), 0) AS bytes {_RELEASABLE}"
_RELEASE = """
UPDATE artifacts SET released_at = :now
WHERE released_at IS NULL AND file_id IN (SELECT value FROM json_each(:file_ids))
"""
_UNNEEDED_USAGE = f"SELECT count(*) AS things, COALESCE(SUM(bytes), 0) AS bytes {UNNEEDED}"
_TO_PURGE_USAGE = """
SELECT count(*) AS things, COALESCE(SUM(bytes), 0) AS bytes FROM files
WHERE deleted_at IS NOT NULL AND purged_at IS NULL
"""
_KINDS = f"""
SELECT CASE WHEN f.kind = 'artifact' AND {_NAMED.format(table="f")} THEN 'intermediate' ELSE f.kind END AS kind,
  count(*) AS things, COALESCE(SUM(f.bytes), 0) AS bytes
FROM files f WHERE f.purged_at IS NULL GROUP BY 1
"""

# The words of what ended long ago: nobody follows it any more, and its end stands in an event of its own.
PROGRESS_EVENTS = """
DELETE FROM job_events WHERE event_id IN (
  SELECT e.event_id FROM job_events e INDEXED BY job_events_progress JOIN jobs j USING (job_id)
  WHERE e.type = 'progress' AND j.finished_at < :before LIMIT :limit) RETURNING event_id
"""
GONE_JOBS = """
DELETE FROM jobs WHERE job_id IN (
  SELECT j.job_id FROM jobs j WHERE j.deleted_at < :before
    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.job_id = j.job_id AND d.state = 'pending')
  LIMIT :limit) RETURNING job_id
"""
GONE_FILES = """
DELETE FROM files WHERE file_id IN (
  SELECT f.file_id FROM files f WHERE f.purged_at < :before
    AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM job_inputs i WHERE i.file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.result_file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM voices v WHERE v.file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM voices v WHERE v.reference_file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM voices v WHERE v.profile_file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM avatars p WHERE p.file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM avatars p WHERE p.thumbnail_file_id = f.file_id)
    AND NOT EXISTS (SELECT 1 FROM avatars p WHERE p.source_file_id = f.file_id)
  LIMIT :limit) RETURNING file_id
"""
GONE_BATCHES = """
DELETE FROM batches WHERE seq IN (
  SELECT b.seq FROM batches b WHERE b.created_at < :before
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.batch_id = b.batch_id) LIMIT :limit) RETURNING seq
"""
OLD_DELIVERIES = """
DELETE FROM webhook_deliveries WHERE delivery_id IN (
  SELECT delivery_id FROM webhook_deliveries WHERE finished_at < :before
  UNION
  SELECT delivery_id FROM (SELECT delivery_id FROM webhook_deliveries WHERE finished_at IS NOT NULL
    ORDER BY finished_at DESC LIMIT -1 OFFSET :keep)
  LIMIT :limit) RETURNING delivery_id
"""
# Jobs whose finished parts are of use: they have not ended, or could be repeated.
_REPEATABLE = """
SELECT job_id FROM jobs WHERE job_id IN (SELECT value FROM json_each(:job_ids)) AND deleted_at IS NULL
  AND (finished_at IS NULL OR (state <> 'succeeded' AND finished_at >= :ended_since))
"""
_PAGES = (
    "SELECT (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size)"
)


@dataclass(frozen=True)
class OldJobs:
    """Which jobs are old. Times in ms UTC; `keep` 0: whatever their number.

    Ended before `before_ms`, or not among the `keep` that ended last; a job with an idempotency key made at
    `key_before_ms` or later stays all the same.
    """

    before_ms: int
    keep: int
    key_before_ms: int

    def params(self) -> dict[str, int]:
        """For OLD_JOBS. A number that no queue reaches stands for "no limit"."""
        return {"before": self.before_ms, "keep": self.keep or _NO_LIMIT, "key_before": self.key_before_ms}


class RetentionRepository:
    """The verbs of the retention rules; each does at most one batch."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def _usage(self, statement: str, **params: object) -> Usage:
        row = await self._db.one(statement, params)
        return Usage() if row is None else Usage(row["things"], row["bytes"])

    # -- jobs --------------------------------------------------------------------------------------
    async def old_jobs(self, old: OldJobs, *, limit: int = BATCH) -> list[str]:
        """Ids of jobs to be deleted, those that ended first first."""
        rows = await self._db.all(OLD_JOBS, {**old.params(), "limit": limit})
        return [row["job_id"] for row in rows]

    async def old_jobs_usage(self, old: OldJobs) -> Usage:
        """How many they are, and the bytes that would be free without them."""
        return await self._usage(OLD_JOBS_USAGE, **old.params())

    # -- files -------------------------------------------------------------------------------------
    async def unneeded_usage(self, *, before_ms: int) -> Usage:
        """Files older than `before_ms` that nothing needs."""
        return await self._usage(_UNNEEDED_USAGE, before=before_ms)

    async def to_purge_usage(self) -> Usage:
        """Files that are deleted but still take room, because a program held them."""
        return await self._usage(_TO_PURGE_USAGE)

    async def usage_by_kind(self, intermediates: Sequence[str]) -> dict[str, Usage]:
        """Kind of file to usage; artifacts of these names count as "intermediate"."""
        rows = await self._db.all(_KINDS, {"names": dump(list(intermediates))})
        return {row["kind"]: Usage(row["things"], row["bytes"]) for row in rows}

    async def releasable_usage(self, names: Sequence[str], *, spare_starred: bool = False) -> Usage:
        """Artifacts of these names that only ended jobs have, and with `spare_starred` none with a star."""
        return await self._usage(RELEASABLE_USAGE, names=dump(list(names)), spare_starred=spare_starred)

    async def starred_usage(self, names: Sequence[str]) -> Usage:
        """Artifacts of these names that a job with a star has."""
        return await self._usage(STARRED_USAGE, names=dump(list(names)))

    async def release(
        self, names: Sequence[str], *, up_to_bytes: int | None = None, spare_starred: bool = False
    ) -> list[FileRecord]:
        """Give up artifacts of these names, the oldest first, until `up_to_bytes` are free (None: all).

        `spare_starred`: those of jobs with a star stay.

        Their rows stay and say "deleted": downloads answer `gone`, and a retry makes them again. Returns the files,
        whose bytes are the caller's to unlink; empty when there is nothing left to give up.
        """

        async def body(transaction: Transaction) -> list[FileRecord]:
            params = {"names": dump(list(names)), "limit": BATCH, "spare_starred": spare_starred}
            chosen, freed = [], 0
            for row in await transaction.all(RELEASABLE, params):
                if up_to_bytes is not None and freed >= up_to_bytes:
                    break
                chosen.append(row["file_id"])
                freed += row["bytes"]
            marked = {"file_ids": dump(chosen), "now": self._clock.now_ms()}
            await transaction.run(_RELEASE, marked)
            return [file_from_row(row) for row in await transaction.all(MARK_DELETED, marked)]

        return await self._db.write(body)

    async def repeatable(self, job_ids: Sequence[str], *, ended_since_ms: int) -> set[str]:
        """Of these jobs, those that have not ended, and those that ended without a video at `ended_since_ms` or later."""
        params = {"job_ids": dump(list(job_ids)), "ended_since": ended_since_ms}
        return {row["job_id"] for row in await self._db.all(_REPEATABLE, params)}

    # -- rows --------------------------------------------------------------------------------------
    async def _drop(self, statement: str, **params: object) -> int:
        rows = await self._db.write(
            lambda transaction: transaction.all(statement, {**params, "limit": BATCH})
        )
        return len(rows)

    async def drop_progress_events(self, *, before_ms: int) -> int:
        """Progress of jobs that ended before; returns how many, 0 when none are left."""
        return await self._drop(PROGRESS_EVENTS, before=before_ms)

    async def drop_gone_jobs(self, *, before_ms: int) -> int:
        """Rows of jobs that were deleted before, with all that belongs to them."""
        return await self._drop(GONE_JOBS, before=before_ms)

    async def drop_gone_files(self, *, before_ms: int) -> int:
        """Rows of files whose bytes went before and that no row names."""
        return await self._drop(GONE_FILES, before=before_ms)

    async def drop_empty_batches(self, *, before_ms: int) -> int:
        """Batches made before whose jobs are all gone."""
        return await self._drop(GONE_BATCHES, before=before_ms)

    async def drop_old_deliveries(self, *, before_ms: int, keep: int) -> int:
        """The log of webhooks: what ended before, and what is more than the newest `keep`."""
        return await self._drop(OLD_DELIVERIES, before=before_ms, keep=keep)

    # -- the database file -------------------------------------------------------------------------
    async def free_bytes(self) -> int:
        """Bytes of the database file that hold nothing."""
        row = await self._db.one(_PAGES)
        return 0 if row is None else int(row[0])

    async def vacuum(self) -> int:
        """Give up to VACUUM_PAGES pages back to the disk; returns the bytes that still hold nothing."""
        await self._db.write(
            lambda transaction: transaction.run(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        )
        return await self.free_bytes()
