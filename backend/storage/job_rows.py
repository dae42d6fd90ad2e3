"""Between rows and records: how the job tables become the dataclasses of `backend.models.records`.

Runs in the service process. Also holds the two writes that every transition shares: an event row and
a file row.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from backend.models.codes import ErrorCode, JobState, StageName, StageState
from backend.models.file_records import FileRecord, NewFile
from backend.models.records import (
    TERMINAL_EVENTS,
    ArtifactRecord,
    AttemptOutcome,
    AttemptRecord,
    EventRecord,
    EventType,
    JobRecord,
    JobView,
    NewEvent,
    StageRecord,
    event_payload,
)
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction

# Views that are kept parsed; one takes about 20 kB.
VIEWS_KEPT = 256

Row = sqlite3.Row | Mapping[str, Any]


def dump(value: Any) -> str:
    """JSON as it is stored: compact, keys in the order given, text unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def dump_or_none(value: Any) -> str | None:
    """JSON, or NULL for None."""
    return None if value is None else dump(value)


def file_from_row(row: Row) -> FileRecord:
    """A row of `files`."""
    return FileRecord(
        file_id=row["file_id"],
        kind=row["kind"],
        rel_path=row["rel_path"],
        size_bytes=row["bytes"],
        sha256=row["sha256"],
        media_type=row["media_type"],
        original_name=row["original_name"],
        meta=json.loads(row["meta_json"]),
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
        purged_at=row["purged_at"],
    )


def job_from_row(row: Row) -> JobRecord:
    """A row of `jobs`."""
    return JobRecord(
        seq=row["seq"],
        job_id=row["job_id"],
        owner=row["owner"],
        title=row["title"],
        state=JobState(row["state"]),
        priority=row["priority"],
        request=json.loads(row["request_json"]),
        request_sha256=row["request_sha256"],
        idempotency_key=row["idempotency_key"],
        engine_plan=tuple(json.loads(row["engine_plan_json"])),
        selected_engine=row["selected_engine"],
        fallback_reason=row["fallback_reason"],
        attempt=row["attempt"],
        lost_attempts=row["lost_attempts"],
        run_after=row["run_after"],
        lease_owner=row["lease_owner"],
        lease_expires_at=row["lease_expires_at"],
        cancel_requested_at=row["cancel_requested_at"],
        progress=row["progress"],
        stage=StageName(row["stage"]) if row["stage"] else None,
        message=row["message"],
        eta_s=row["eta_s"],
        seed=row["seed"],
        draft=bool(row["draft"]),
        notice=json.loads(row["notice_json"]) if row["notice_json"] else None,
        result_file_id=row["result_file_id"],
        retry_of=row["retry_of"],
        batch_id=row["batch_id"],
        error_code=ErrorCode(row["error_code"]) if row["error_code"] else None,
        error_message=row["error_message"],
        error_hint=row["error_hint"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        starred=bool(row["starred"]),
        folder_id=row["folder_id"],
        promoted_from=row["promoted_from"],
    )


def _stage(item: Mapping[str, Any]) -> StageRecord:
    return StageRecord(
        name=StageName(item["name"]),
        state=StageState(item["state"]),
        attempt=item["attempt"],
        started_at=item["started_at"],
        finished_at=item["finished_at"],
        detail=item["detail"],
    )


def _attempt(item: Mapping[str, Any]) -> AttemptRecord:
    return AttemptRecord(
        attempt_id=item["attempt_id"],
        attempt=item["attempt"],
        stage=StageName(item["stage"]),
        engine=item["engine"],
        worker_id=item["worker_id"],
        started_at=item["started_at"],
        finished_at=item["finished_at"],
        outcome=AttemptOutcome(item["outcome"]) if item["outcome"] else None,
        exit_code=item["exit_code"],
        error_code=ErrorCode(item["error_code"]) if item["error_code"] else None,
        error_message=item["error_message"],
        detail=item["detail"],
    )


def _artifact(item: Mapping[str, Any]) -> ArtifactRecord:
    return ArtifactRecord(name=item["name"], stage=StageName(item["stage"]), file=file_from_row(item["file"]))


class _Content:
    """A row that is the same as another with the same values."""

    __slots__ = ("row", "values")

    def __init__(self, row: sqlite3.Row) -> None:
        self.row = row
        self.values = tuple(row)

    def __hash__(self) -> int:
        return hash(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.values == other.values


def view_from_row(row: sqlite3.Row) -> JobView:
    """A row of the VIEW statement.

    Who looks at a job looks again soon, and mostly nothing has changed: a row of the same content gives the same
    object, unparsed. The row itself is read each time, so nothing here can be out of date.
    """
    return _view_of(_Content(row))


@functools.lru_cache(maxsize=VIEWS_KEPT)
def _view_of(content: _Content) -> JobView:
    row = content.row
    return JobView(
        job=job_from_row(row),
        stages=tuple(_stage(item) for item in json.loads(row["stages"])),
        attempts=tuple(_attempt(item) for item in json.loads(row["attempts"])),
        artifacts=tuple(_artifact(item) for item in json.loads(row["artifacts"])),
        inputs={role: file_from_row(item) for role, item in json.loads(row["inputs"]).items()},
        queue_position=row["queue_position"],
    )


def event_from_row(row: Row) -> EventRecord:
    """A row of `job_events`."""
    return EventRecord(
        event_id=row["event_id"],
        job_id=row["job_id"],
        type=EventType(row["type"]),
        data=json.loads(row["data_json"]),
        at=row["at"],
    )


async def append_event(transaction: Transaction, job: JobRecord, kind: EventType, now: int) -> None:
    """Write the event beside the change it tells of, and what webhooks are owed; announced after the commit."""
    row = await transaction.one(
        sql.INSERT_EVENT,
        {"job_id": job.job_id, "type": kind.value, "data_json": dump(event_payload(job)), "now": now},
    )
    if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
        raise AssertionError("the event row was not written")
    if kind in TERMINAL_EVENTS:
        await transaction.run(sql.QUEUE_DELIVERIES, {"job_id": job.job_id, "type": f"job.{kind}", "now": now})
    transaction.events.append(NewEvent(event_id=row["event_id"], job_id=job.job_id, type=kind))


async def insert_file(transaction: Transaction, new: NewFile, now: int) -> FileRecord:
    """Write the row of a file that is already durable on disk."""
    row = await transaction.one(
        sql.INSERT_FILE,
        {
            "file_id": new.file_id,
            "kind": new.kind,
            "rel_path": new.blob.rel_path,
            "bytes": new.blob.size_bytes,
            "sha256": new.blob.sha256,
            "media_type": new.media_type,
            "original_name": new.original_name,
            "meta_json": dump(dict(new.meta)),
            "now": now,
        },
    )
    if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
        raise AssertionError("the file row was not written")
    return file_from_row(row)
