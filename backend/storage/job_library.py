"""What a person changes of a job beside its run: title, star, folder, place in the queue. Runs in the service process.

One transaction for all of a change, so that it is done whole or not at all; its event tells the other pages.
"""

from __future__ import annotations

import sqlite3

from backend.models.codes import TERMINAL_STATES, ErrorCode, JobState
from backend.models.errors import FieldError, RequestError
from backend.models.library_records import JobChange
from backend.models.records import EventType, JobRecord
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_rows import append_event, job_from_row
from backend.storage.job_tables import JobTables, job_not_found
from backend.storage.search_text import fold

MIN_PRIORITY, MAX_PRIORITY = -100, 100

_CHANGE = """
UPDATE jobs SET priority = COALESCE(:priority, priority), title = COALESCE(:title, title),
  search_text = COALESCE(:search_text, search_text), starred = COALESCE(:starred, starred),
  folder_id = CASE WHEN :moves THEN :folder_id ELSE folder_id END, updated_at = :now
WHERE job_id = :job_id RETURNING *
"""
_FOLDER = "SELECT 1 FROM folders WHERE folder_id = :folder_id"


class JobLibrary(JobTables):
    """The verb of a person who tidies up."""

    async def change(self, job_id: str, change: JobChange) -> JobRecord:
        """Change what `change` names. Raises `job_not_found`, `gone`, and `validation_failed`.

        That is: a priority out of range or of a job that has ended, or a folder that does not exist.
        """
        _check_range(change.priority)

        async def body(transaction: Transaction) -> JobRecord:
            row = await transaction.one(sql.BY_ID, {"job_id": job_id})
            if row is None:
                raise job_not_found(job_id)
            if row["deleted_at"] is not None:
                raise RequestError(ErrorCode.GONE, "This job was deleted.", hint="Make a new one.")
            if change.priority is not None and JobState(row["state"]) in TERMINAL_STATES:
                raise RequestError(
                    ErrorCode.VALIDATION_FAILED,
                    "The job has ended; its priority has no meaning any more.",
                    hint="Leave `priority` out.",
                )
            await _check_folder(transaction, change)
            now = self._clock.now_ms()
            params = {
                "job_id": job_id,
                "priority": change.priority,
                "title": change.title,
                "search_text": None if change.title is None else _searched(row, change.title),
                "starred": change.starred,
                "moves": change.moves,
                "folder_id": change.folder_id,
                "now": now,
            }
            changed = await transaction.one(_CHANGE, params)
            if changed is None:  # pragma: no cover - read a statement ago
                raise AssertionError("the job row vanished")
            job = job_from_row(changed)
            is_move_in_queue = change == JobChange(priority=change.priority)
            kind = EventType.PRIORITY_CHANGED if is_move_in_queue else EventType.UPDATED
            await append_event(transaction, job, kind, now)
            return job

        return await self._db.write(body)


def _searched(row: sqlite3.Row, title: str) -> str:
    """What the job is found by under its new title: all that follows the old one stays."""
    old, text = fold(row["title"]), str(row["search_text"])
    return fold(title) + (text[len(old) :] if text.startswith(f"{old}\n") else f"\n{text}")


def _check_range(priority: int | None) -> None:
    if priority is None or MIN_PRIORITY <= priority <= MAX_PRIORITY:
        return
    message = f"Give a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}."
    raise RequestError(
        ErrorCode.VALIDATION_FAILED, message, hint=message, fields=(FieldError("priority", message),)
    )


async def _check_folder(transaction: Transaction, change: JobChange) -> None:
    if not change.moves or change.folder_id is None:
        return
    if await transaction.one(_FOLDER, {"folder_id": change.folder_id}) is None:
        message = "There is no such folder."
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            message,
            hint="List the folders with GET /api/folders.",
            fields=(FieldError("folder_id", message),),
        )
