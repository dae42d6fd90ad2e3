"""Which worker processes this service started, so that the next boot can find what a crash left over.

Runs in the service process. Rows only: comparing them with living processes is the supervisor's work.
"""

from __future__ import annotations

import sqlite3

from backend.models.file_records import WorkerRecord
from backend.storage.db import Database
from backend.utils.clock import Clock

_INSERT = """
INSERT OR REPLACE INTO workers (worker_id, boot_id, engine, pid, pid_started, command, started_at)
VALUES (:worker_id, :boot_id, :engine, :pid, :pid_started, :command, :now)
"""
_OF_OTHER_BOOTS = "SELECT * FROM workers WHERE boot_id <> :boot_id ORDER BY started_at"
_DELETE = "DELETE FROM workers WHERE worker_id = :worker_id"


def _from_row(row: sqlite3.Row) -> WorkerRecord:
    return WorkerRecord(
        worker_id=row["worker_id"],
        boot_id=row["boot_id"],
        engine=row["engine"],
        pid=row["pid"],
        pid_started=row["pid_started"],
        command=row["command"],
        started_at=row["started_at"],
    )


class WorkersRepository:
    """Worker processes by id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def register(
        self, *, worker_id: str, boot_id: str, engine: str, pid: int, pid_started: str, command: str
    ) -> None:
        """Note a process that was just spawned."""
        params = {
            "worker_id": worker_id,
            "boot_id": boot_id,
            "engine": engine,
            "pid": pid,
            "pid_started": pid_started,
            "command": command,
            "now": self._clock.now_ms(),
        }
        await self._db.write(lambda transaction: transaction.run(_INSERT, params))

    async def forget(self, worker_id: str) -> None:
        """The process is gone."""
        await self._db.write(lambda transaction: transaction.run(_DELETE, {"worker_id": worker_id}))

    async def left_over(self, current_boot: str) -> list[WorkerRecord]:
        """Processes of earlier boots that were never reported gone."""
        return [_from_row(row) for row in await self._db.all(_OF_OTHER_BOOTS, {"boot_id": current_boot})]
