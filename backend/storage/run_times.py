"""How long videos took on this machine: one row for each that succeeded. Runs in the service process.

Only the newest of each kind (engine, model, resolution, GPU) are kept, so that the table stays small and a machine
that changed is learned anew.
"""

from __future__ import annotations

import sqlite3

from backend.models.estimate import RunTime
from backend.storage.db import Database, Transaction
from backend.utils.clock import Clock

# Enough for a median that one odd run does not move, few enough that a new driver shows after some jobs.
KEPT_PER_KIND = 20
# Of kinds that nobody uses any more (a card that was sold) something must go at last.
MAX_ROWS = 2000

_INSERT = """
INSERT INTO run_times (engine, model, resolution, gpu, speech_ms, wall_ms, peak_vram_mib, at)
VALUES (:engine, :model, :resolution, :gpu, :speech_ms, :wall_ms, :peak_vram_mib, :now)
"""
FORGET_OF_KIND = """
DELETE FROM run_times WHERE run_id IN (
  SELECT run_id FROM run_times
  WHERE engine = :engine AND model = :model AND resolution = :resolution AND gpu = :gpu
  ORDER BY at DESC, run_id DESC LIMIT -1 OFFSET :kept
)
"""
_FORGET_OLDEST = """
DELETE FROM run_times WHERE run_id IN (SELECT run_id FROM run_times ORDER BY run_id DESC LIMIT -1 OFFSET :most)
"""
LATEST = """
SELECT * FROM run_times
WHERE engine = :engine AND model = :model AND resolution = :resolution AND gpu = :gpu
ORDER BY at DESC, run_id DESC LIMIT :kept
"""


class RunTimesRepository:
    """Runs that succeeded, by kind."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def record(self, run: RunTime) -> None:
        """Keep what a run took, and forget the oldest of its kind. A run without length teaches nothing."""
        if run.speech_ms <= 0 or run.wall_ms <= 0:
            return
        peak = run.peak_vram_mib if run.peak_vram_mib and run.peak_vram_mib > 0 else None
        params = {
            **_kind(run.engine, run.model, run.resolution, run.gpu),
            "speech_ms": run.speech_ms,
            "wall_ms": run.wall_ms,
            "peak_vram_mib": peak,
            "now": self._clock.now_ms(),
        }

        async def body(transaction: Transaction) -> None:
            await transaction.run(_INSERT, params)
            await transaction.run(FORGET_OF_KIND, {**params, "kept": KEPT_PER_KIND})
            await transaction.run(_FORGET_OLDEST, {"most": MAX_ROWS})

        await self._db.write(body)

    async def latest(self, *, engine: str, model: str, resolution: str, gpu: str) -> list[RunTime]:
        """The newest runs of one kind, newest first; at most KEPT_PER_KIND."""
        params = {**_kind(engine, model, resolution, gpu), "kept": KEPT_PER_KIND}
        return [_run(row) for row in await self._db.all(LATEST, params)]


def _kind(engine: str, model: str, resolution: str, gpu: str) -> dict[str, str]:
    return {"engine": engine, "model": model, "resolution": resolution, "gpu": gpu}


def _run(row: sqlite3.Row) -> RunTime:
    return RunTime(
        engine=row["engine"],
        model=row["model"],
        resolution=row["resolution"],
        gpu=row["gpu"],
        speech_ms=row["speech_ms"],
        wall_ms=row["wall_ms"],
        peak_vram_mib=row["peak_vram_mib"],
    )
