"""What the kill loop counts at the end: rows and files of a stopped service against what its clients were told."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TERMINAL = {"succeeded", "failed", "cancelled"}
# The only failure that a kill may cause: the third loss of one job.
ALLOWED_FAILURE = "worker_lost"
MAX_LOSSES = 3


@dataclass
class Audit:
    """`broken` holds one sentence for each broken promise; empty is the goal."""

    broken: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    losses: int = 0
    duplicates: int = 0
    orphan_files: int = 0
    integrity: str = ""

    def table(self) -> list[tuple[str, object]]:
        """Label and value, for printing."""
        return [
            ("jobs acknowledged", self.acknowledged),
            ("acknowledged jobs that are gone", self.lost),
            *((f"jobs {state}", count) for state, count in sorted(self.states.items())),
            ("attempts lost in kills", self.losses),
            ("results made twice", self.duplicates),
            ("files that no row knows", self.orphan_files),
            ("integrity_check", self.integrity),
            ("promises broken", len(self.broken)),
        ]


def audit(
    data: Path,
    *,
    acknowledged: Collection[str],
    cancels: Mapping[str, str],
    keys: Mapping[str, str | None],
) -> Audit:
    """Read everything of a stopped service.

    `cancels`: job ids whose cancel was acknowledged. `keys`: idempotency key to the id it was answered with.
    """
    found = Audit(acknowledged=len(acknowledged))
    db = sqlite3.connect(f"{(data / 'sqlite.db').as_uri()}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    try:
        found.integrity = str(db.execute("PRAGMA integrity_check").fetchone()[0])
        if found.integrity != "ok" or db.execute("PRAGMA foreign_key_check").fetchall():
            found.broken.append("the database is damaged")
        _check_jobs(db, found, acknowledged, cancels)
        _check_keys(db, found, keys)
        _check_events(db, found)
        _check_results(db, found)
        _check_files(db, found, data)
    finally:
        db.close()
    return found


def _check_jobs(
    db: sqlite3.Connection, found: Audit, acknowledged: Collection[str], cancels: Mapping[str, str]
) -> None:
    jobs = {row["job_id"]: row for row in db.execute("SELECT * FROM jobs")}
    gone = set(acknowledged) - set(jobs)
    found.lost = len(gone)
    found.broken += [f"{job_id} was acknowledged and is gone" for job_id in sorted(gone)]
    for job_id, job in jobs.items():
        found.states[job["state"]] += 1
        found.losses += job["lost_attempts"]
        if job["state"] not in TERMINAL:
            found.broken.append(f"{job_id} never ended: {job['state']}")
        if job["state"] == "failed":
            if job["error_code"] != ALLOWED_FAILURE:
                found.broken.append(f"{job_id} failed by itself: {job['error_code']} {job['error_message']}")
            elif job["lost_attempts"] != MAX_LOSSES:
                found.broken.append(f"{job_id} was given up after {job['lost_attempts']} losses")
        if job["lost_attempts"] > MAX_LOSSES:
            found.broken.append(f"{job_id} was lost {job['lost_attempts']} times")
        if job_id in cancels and job["state"] != "cancelled":
            found.broken.append(f"{job_id} was told it is {cancels[job_id]} and became {job['state']}")


def _check_keys(db: sqlite3.Connection, found: Audit, keys: Mapping[str, str | None]) -> None:
    stored = Counter[str]()
    for row in db.execute(
        "SELECT idempotency_key AS key, job_id FROM jobs WHERE idempotency_key IS NOT NULL"
    ):
        stored[row["key"]] += 1
        if keys.get(row["key"]) not in (None, row["job_id"]):
            found.broken.append(f"a key was answered with {keys[row['key']]} but names {row['job_id']}")
    found.broken += [f"a key has {count} jobs" for count in stored.values() if count > 1]


def _check_events(db: sqlite3.Connection, found: Audit) -> None:
    """One terminal event each, nothing after it, and progress that grows within an attempt."""
    ended: set[str] = set()
    progress: dict[str, float] = {}
    for row in db.execute("SELECT job_id, type, data_json FROM job_events ORDER BY event_id"):
        job_id, kind = row["job_id"], row["type"]
        if job_id in ended:
            found.broken.append(f"{job_id} has an event {kind} after its end")
        if kind in {"completed", "failed", "cancelled"}:
            ended.add(job_id)
        percent = float(json.loads(row["data_json"]).get("progress", 0))
        if kind != "started" and percent < progress.get(job_id, 0.0):
            found.broken.append(f"{job_id} went back from {progress[job_id]} to {percent} at {kind}")
        progress[job_id] = percent
    count = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
    if len(ended) != count:
        found.broken.append(f"{count} jobs, but {len(ended)} have a last event")


def _check_results(db: sqlite3.Connection, found: Audit) -> None:
    """No finished stage was made again, and a completed job has one result."""
    twice = db.execute(
        "SELECT job_id, stage, count(*) AS n FROM attempts WHERE outcome = 'succeeded' GROUP BY 1, 2 HAVING n > 1"
    ).fetchall()
    results = db.execute(
        "SELECT rel_path, count(*) AS n FROM files WHERE rel_path LIKE '%/video.mp4' GROUP BY 1 HAVING n > 1"
    ).fetchall()
    found.duplicates = len(twice) + len(results)
    found.broken += [f"{row['job_id']} made its {row['stage']} {row['n']} times" for row in twice]
    found.broken += [f"{row['rel_path']} was recorded {row['n']} times" for row in results]
    open_hops = db.execute("SELECT count(*) FROM attempts WHERE outcome IS NULL").fetchone()[0]
    if open_hops:
        found.broken.append(f"{open_hops} hops are still open")


def _check_files(db: sqlite3.Connection, found: Audit, data: Path) -> None:
    """Rows and bytes agree in both directions, and nothing half made lies about."""
    rows = {
        row["rel_path"]: row
        for row in db.execute("SELECT rel_path, bytes, sha256 FROM files WHERE purged_at IS NULL")
    }
    on_disk = {
        path.relative_to(data).as_posix()
        for folder in ("outputs", "uploads")
        for path in (data / folder).rglob("*")
        if path.is_file()
    }
    orphans = sorted(on_disk - set(rows))
    found.orphan_files = len(orphans)
    found.broken += [f"no row knows {name}" for name in orphans]
    for name, row in rows.items():
        path = data / name
        if not path.is_file():
            found.broken.append(f"{name} has a row and is gone")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            found.broken.append(f"{name} is not what its row says")
    found.broken += [f"work is left: {path.name}" for path in (data / "work").iterdir()]
