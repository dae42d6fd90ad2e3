"""Rows of files, who still needs them, and which may go.

Runs in the service process. The bytes are the business of `blobs.py`; a row is written only after its
bytes are durable, and bytes are unlinked only after the row says deleted. In this order a crash leaves
an orphan file (swept later) and never a row without its file.
"""

from __future__ import annotations

from collections.abc import Collection

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.file_records import FileRecord, NewFile
from backend.storage.db import Database
from backend.storage.job_rows import dump, file_from_row, insert_file
from backend.utils.clock import Clock

# Work per transaction of the collector: other writers wait at most this long a batch.
BATCH = 200

_BY_ID = "SELECT * FROM files WHERE file_id = :file_id"
_KNOWN = (
    "SELECT rel_path FROM files WHERE purged_at IS NULL AND rel_path IN (SELECT value FROM json_each(:paths))"
)
# Spared beside the holders: inputs of ended jobs that a retry would need, unless the user deleted the
# avatar that the file belongs to. What a retry needs of a voice, the voice itself holds: the rest belonged to a
# voice that was deleted, or to an enrolment that was replaced.
UNNEEDED = """
FROM files WHERE deleted_at IS NULL AND created_at < :before
  AND NOT EXISTS (SELECT 1 FROM file_holders h WHERE h.file_id = files.file_id)
  AND (NOT EXISTS (SELECT 1 FROM job_inputs i JOIN jobs j USING (job_id)
                   WHERE i.file_id = files.file_id AND j.deleted_at IS NULL)
       OR files.kind = 'voice'
       OR EXISTS (SELECT 1 FROM avatars p WHERE p.file_id = files.file_id)
       OR EXISTS (SELECT 1 FROM avatars p WHERE p.source_file_id = files.file_id))
"""
COLLECTABLE = f"SELECT * {UNNEEDED} ORDER BY created_at LIMIT :limit"
MARK_DELETED = """
UPDATE files SET deleted_at = :now
WHERE deleted_at IS NULL AND file_id IN (SELECT value FROM json_each(:file_ids))
  AND NOT EXISTS (SELECT 1 FROM file_holders h WHERE h.file_id = files.file_id)
RETURNING *
"""
TO_PURGE = """
SELECT * FROM files WHERE deleted_at IS NOT NULL AND purged_at IS NULL
  AND file_id NOT IN (SELECT value FROM json_each(:besides))
ORDER BY deleted_at LIMIT :limit
"""
_MARK_PURGED = """
UPDATE files SET purged_at = :now
WHERE deleted_at IS NOT NULL AND purged_at IS NULL AND file_id IN (SELECT value FROM json_each(:file_ids))
"""
_AT_WORK = """
SELECT job_id FROM jobs WHERE state IN ('queued','running') AND job_id IN (SELECT value FROM json_each(:job_ids))
"""
_BYTES_BY_KIND = """
SELECT kind, count(*) AS files, COALESCE(SUM(bytes), 0) AS bytes FROM files WHERE purged_at IS NULL GROUP BY kind
"""


class FilesRepository:
    """Files by id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def add(self, new: NewFile) -> FileRecord:
        """Write the row of a file that is durable on disk."""
        now = self._clock.now_ms()
        return await self._db.write(lambda transaction: insert_file(transaction, new, now))

    async def find(self, file_id: str) -> FileRecord | None:
        """The row, deleted ones too; None when there never was one."""
        row = await self._db.one(_BY_ID, {"file_id": file_id})
        return None if row is None else file_from_row(row)

    async def get(self, file_id: str) -> FileRecord:
        """The row of a file that can be read. Raises `gone` when it was deleted or never was."""
        found = await self.find(file_id)
        if found is None or found.deleted_at is not None:
            raise RequestError(
                ErrorCode.GONE,
                "The file was deleted.",
                hint="Upload it again, or retry the job that made it.",
            )
        return found

    async def known_paths(self, rel_paths: Collection[str]) -> set[str]:
        """Which of these paths belong to a row whose bytes should exist."""
        rows = await self._db.all(_KNOWN, {"paths": dump(list(rel_paths))})
        return {row["rel_path"] for row in rows}

    async def jobs_at_work(self, job_ids: Collection[str]) -> set[str]:
        """Which of these jobs have not ended: their folders are not to be tidied."""
        rows = await self._db.all(_AT_WORK, {"job_ids": dump(list(job_ids))})
        return {row["job_id"] for row in rows}

    async def collectable(self, *, before_ms: int, limit: int = BATCH) -> list[FileRecord]:
        """Files older than `before_ms` that nothing needs any more, oldest first."""
        rows = await self._db.all(COLLECTABLE, {"before": before_ms, "limit": limit})
        return [file_from_row(row) for row in rows]

    async def mark_deleted(self, file_ids: Collection[str]) -> list[FileRecord]:
        """Mark those that no live row references; returns them. The others are left alone."""
        now = self._clock.now_ms()
        rows = await self._db.write(
            lambda transaction: transaction.all(MARK_DELETED, {"file_ids": dump(list(file_ids)), "now": now})
        )
        return [file_from_row(row) for row in rows]

    async def to_purge(self, limit: int = BATCH, *, besides: Collection[str] = ()) -> list[FileRecord]:
        """Deleted files whose bytes may still be on disk; `besides`: ids that are of no interest now."""
        params = {"limit": limit, "besides": dump(list(besides))}
        return [file_from_row(row) for row in await self._db.all(TO_PURGE, params)]

    async def mark_purged(self, file_ids: Collection[str]) -> None:
        """Note that the bytes of deleted files are gone."""
        params = {"file_ids": dump(list(file_ids)), "now": self._clock.now_ms()}
        await self._db.write(lambda transaction: transaction.run(_MARK_PURGED, params))

    async def usage(self) -> dict[str, tuple[int, int]]:
        """Kind to (number of files, bytes) of all that is still on disk."""
        rows = await self._db.all(_BYTES_BY_KIND)
        return {row["kind"]: (row["files"], row["bytes"]) for row in rows}
