"""Folders of the library: rows and what happens to the jobs in one that goes. Runs in the service process."""

from __future__ import annotations

import sqlite3

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, RequestError, UnknownId
from backend.models.library_records import FolderRecord
from backend.models.records import EventType
from backend.storage.db import Database, Transaction
from backend.storage.files import BATCH
from backend.storage.job_rows import append_event, job_from_row
from backend.storage.search_text import fold
from backend.utils.clock import Clock
from backend.utils.ids import new_id

# A person looks through them in one list.
MAX_FOLDERS = 200

_COUNTED = """
SELECT f.folder_id, f.name, f.created_at,
  (SELECT count(*) FROM jobs j WHERE j.folder_id = f.folder_id AND j.deleted_at IS NULL) AS jobs
FROM folders f
"""
ALL_FOLDERS = f"{_COUNTED} ORDER BY f.folded"
_BY_ID = f"{_COUNTED} WHERE f.folder_id = :folder_id"
_TAKEN = "SELECT 1 FROM folders WHERE folded = :folded AND folder_id <> :folder_id"
_COUNT = "SELECT count(*) FROM folders"
_INSERT = (
    "INSERT INTO folders (folder_id, name, folded, created_at) VALUES (:folder_id, :name, :folded, :now)"
)
_RENAME = "UPDATE folders SET name = :name, folded = :folded WHERE folder_id = :folder_id"
_DELETE = "DELETE FROM folders WHERE folder_id = :folder_id"
# Deleted jobs leave it without a word when the folder's row goes.
TAKE_OUT = """
UPDATE jobs SET folder_id = NULL, updated_at = :now
WHERE seq IN (SELECT seq FROM jobs WHERE folder_id = :folder_id AND deleted_at IS NULL LIMIT :limit) RETURNING *
"""


class FoldersRepository:
    """Folders by id. Names are told apart without case and width."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list_all(self) -> list[FolderRecord]:
        """All folders, by name."""
        return [_folder(row) for row in await self._db.all(ALL_FOLDERS)]

    async def create(self, name: str) -> FolderRecord:
        """A new folder. Raises `validation_failed` for a name that is taken, `rate_limited` beyond MAX_FOLDERS."""

        async def body(transaction: Transaction) -> FolderRecord:
            count = await transaction.one(_COUNT)
            if count is not None and count[0] >= MAX_FOLDERS:
                raise RequestError(
                    ErrorCode.RATE_LIMITED,
                    f"There are {MAX_FOLDERS} folders already.",
                    hint="Delete folders that are no longer needed; the videos in them stay.",
                )
            params = {"folder_id": new_id("fld"), "name": name, "folded": fold(name)}
            await _refuse_taken(transaction, params)
            await transaction.run(_INSERT, {**params, "now": self._clock.now_ms()})
            return await _get(transaction, params["folder_id"])

        return await self._db.write(body)

    async def rename(self, folder_id: str, name: str) -> FolderRecord:
        """Raises `UnknownId`, and `validation_failed` for a name that is taken."""

        async def body(transaction: Transaction) -> FolderRecord:
            await _get(transaction, folder_id)
            params = {"folder_id": folder_id, "name": name, "folded": fold(name)}
            await _refuse_taken(transaction, params)
            await transaction.run(_RENAME, params)
            return await _get(transaction, folder_id)

        return await self._db.write(body)

    async def delete(self, folder_id: str) -> None:
        """The folder goes, its jobs stay without one, and each says so in an event. Raises `UnknownId`.

        Jobs leave in batches, so that nobody waits for a large folder; a crash in between leaves a smaller one.
        """
        while await self._take_out(folder_id):
            pass

    async def _take_out(self, folder_id: str) -> bool:
        """One batch; returns whether there may be more. The last one takes the folder along."""

        async def body(transaction: Transaction) -> bool:
            await _get(transaction, folder_id)
            now = self._clock.now_ms()
            rows = await transaction.all(TAKE_OUT, {"folder_id": folder_id, "limit": BATCH, "now": now})
            for row in rows:
                await append_event(transaction, job_from_row(row), EventType.UPDATED, now)
            if len(rows) == BATCH:
                return True
            await transaction.run(_DELETE, {"folder_id": folder_id})
            return False

        return await self._db.write(body)


async def _get(transaction: Transaction, folder_id: str) -> FolderRecord:
    row = await transaction.one(_BY_ID, {"folder_id": folder_id})
    if row is None:
        raise UnknownId("There is no such folder.", hint="List the folders with GET /api/folders.")
    return _folder(row)


async def _refuse_taken(transaction: Transaction, params: dict[str, str]) -> None:
    if await transaction.one(_TAKEN, {"folded": params["folded"], "folder_id": params["folder_id"]}):
        message = "There is a folder of this name already."
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            message,
            hint="Choose another name.",
            fields=(FieldError("name", message),),
        )


def _folder(row: sqlite3.Row) -> FolderRecord:
    return FolderRecord(row["folder_id"], row["name"], row["jobs"], row["created_at"])
