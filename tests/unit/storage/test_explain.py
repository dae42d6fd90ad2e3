"""Hot SQL uses its indexes, also with a long history behind it."""

from __future__ import annotations

import sqlite3

import pytest

from backend.storage import (
    batches,
    files,
    folders,
    job_listing,
    job_queue_sql,
    retention,
    run_times,
    voices,
    webhooks,
)
from backend.storage.migrations import MIGRATIONS
from backend.storage.migrations.runner import migrate

JOBS = 2_000


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory):
    """A database with years of cancelled jobs, a few that wait, and fresh statistics."""
    folder = tmp_path_factory.mktemp("history")
    path = folder / "sqlite.db"
    migrate(path, MIGRATIONS, backups_dir=folder)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    for number in range(JOBS):
        connection.execute(
            "INSERT INTO jobs (job_id, owner, request_json, request_sha256, engine_plan_json, selected_engine, seed,"
            " created_at, updated_at, served_seq) VALUES (?, ?, '{}', 'x', '[]', 'draft', 1, 1, 1, ?)",
            (f"job_{number:08d}", f"owner{number % 3}", number),
        )
        connection.execute(
            "INSERT INTO job_events (job_id, type, data_json, at) VALUES (?, 'queued', '{}', 1)",
            (f"job_{number:08d}",),
        )
    connection.execute(
        "UPDATE jobs SET state='cancelled', cancel_requested_at=1, finished_at=1 WHERE seq <= ?", (JOBS - 20,)
    )
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    yield connection
    connection.close()


PARAMS = {
    "lease_owner": "b", "lease_ms": 1, "now": 1, "engines": None, "job_id": "job_00000001", "attempt": 1,
    "owner": "", "key": "k", "last_id": 1, "limit": 10, "boot": "b", "after": 100, "keys": None, "engine": None,
    "batch": None, "q": "x", "starred": 1, "draft": 0, "voice_id": "voice_1", "statuses": "[]", "folder_id": "fld_00000000", "percent": 1.0, "stage": None, "message": None, "eta_s": None, "expires": 1,
    "before": 1, "file_ids": "[]", "keep": 10, "key_before": 1, "spare_starred": 1, "names": '["silent.mp4"]', "batch_id": "batch_1",
    "batch_ids": "[]", "besides": "[]", "hook_id": "hook_1", "type": "job.failed", "most_tries": 3,
    "model": "", "resolution": "512p", "gpu": "", "kept": 20,
}  # fmt: skip

HOT = {
    "CLAIM": (job_queue_sql.CLAIM, ["jobs_ready", "jobs_served", "jobs_last_served"]),
    "BY_IDEMPOTENCY_KEY": (job_queue_sql.BY_IDEMPOTENCY_KEY, ["jobs_idempotency"]),
    "COUNT_QUEUED": (job_queue_sql.COUNT_QUEUED, ["jobs_ready|jobs_delayed|jobs_waiting"]),
    "NEXT_WAKE": (job_queue_sql.NEXT_WAKE, ["jobs_delayed"]),
    "POSITIONS": (job_queue_sql.POSITIONS, ["jobs_ready|jobs_delayed|jobs_waiting", "jobs_served"]),
    "POSITION": (job_queue_sql.POSITION, ["jobs_waiting (owner=? AND priority=? AND seq<?)", "jobs_served"]),
    "OWNED_BY_OTHERS": (job_queue_sql.OWNED_BY_OTHERS, ["jobs_running"]),
    "OWNED_BY_BOOT": (job_queue_sql.OWNED_BY_BOOT, ["jobs_running"]),
    "CHECK_FENCE": (job_queue_sql.CHECK_FENCE, ["sqlite_autoindex_jobs_1|jobs_running"]),
    "PROGRESS": (job_queue_sql.PROGRESS, ["sqlite_autoindex_jobs_1|jobs_running"]),
    "RENEW_LEASE": (job_queue_sql.RENEW_LEASE, ["sqlite_autoindex_jobs_1|jobs_running"]),
    "EVENTS_SINCE": (job_queue_sql.EVENTS_SINCE, ["USING INTEGER PRIMARY KEY (rowid>?)"]),
    "EVENTS_OF_JOB_SINCE": (
        job_queue_sql.EVENTS_OF_JOB_SINCE,
        ["job_events_of_job (job_id=? AND event_id>?)"],
    ),
    "LIST_NEWEST_FIRST": (
        job_listing.page_statement((), "desc"),
        ["COVERING INDEX jobs_listed", "(rowid=?)"],
    ),
    "LIST_OLDEST_FIRST": (
        job_listing.page_statement((), "asc"),
        ["COVERING INDEX jobs_listed (seq>?)", "(rowid=?)"],
    ),
    "FILTERS": (
        job_listing.page_statement(
            ("statuses", "engine", "owner", "batch_id", "starred", "draft", "folder_id", "voice_id"), "desc"
        ),
        ["COVERING INDEX jobs_listed", "(voice_id=? AND seq=?)", "(rowid=?)"],
    ),
    "SEARCH": (job_listing.page_statement(("q",), "desc"), ["USING INDEX jobs_listed", "(rowid=?)"]),
    "ALL_FOLDERS": (folders.ALL_FOLDERS, ["jobs_folder"]),
    "TAKE_OUT": (folders.TAKE_OUT, ["jobs_folder"]),
    "VIEW": (job_queue_sql.VIEW, ["attempts_of_job", "sqlite_autoindex_jobs_1"]),
    "LIST_OF_BATCH": (batches.JOBS, ["jobs_batch"]),
    "TALLY": (batches.TALLY, ["jobs_batch"]),
    "TO_CANCEL": (batches.TO_CANCEL, ["jobs_batch|jobs_ready|jobs_running"]),
    "QUEUE_DELIVERIES": (job_queue_sql.QUEUE_DELIVERIES, ["sqlite_autoindex_jobs_1"]),
    "DUE": (webhooks.DUE, ["webhook_deliveries_due"]),
    "NEXT_DUE": (webhooks.NEXT_DUE, ["webhook_deliveries_due"]),
    "OF_HOOK": (webhooks.OF_HOOK, ["webhook_deliveries_of_hook"]),
    "OF_JOB": (webhooks.OF_JOB, ["webhook_deliveries_once"]),
    "NEXT_TO_REFINE": (voices.NEXT_TO_REFINE, ["voices_to_refine"]),
    "OLD_JOBS": (retention.OLD_JOBS, ["jobs_finished", "webhook_deliveries_once"]),
    "RELEASABLE": (retention.RELEASABLE, ["files_live", "artifacts_file", "job_inputs_file"]),
    "STARRED_USAGE": (retention.STARRED_USAGE, ["files_live", "artifacts_file"]),
    "PROGRESS_EVENTS": (retention.PROGRESS_EVENTS, ["job_events_progress"]),
    "GONE_JOBS": (retention.GONE_JOBS, ["jobs_deleted", "webhook_deliveries_once"]),
    "GONE_FILES": (retention.GONE_FILES, ["files_purged", "artifacts_file", "jobs_result"]),
    "GONE_BATCHES": (retention.GONE_BATCHES, ["jobs_batch"]),
    "OLD_DELIVERIES": (retention.OLD_DELIVERIES, ["webhook_deliveries_ended"]),
    "LATEST_RUNS": (run_times.LATEST, ["run_times_key (engine=? AND model=? AND resolution=? AND gpu=?)"]),
    "FORGET_OF_KIND": (
        run_times.FORGET_OF_KIND,
        ["run_times_key (engine=? AND model=? AND resolution=? AND gpu=?)"],
    ),
    "TO_PURGE": (files.TO_PURGE, ["files_to_purge"]),
    "COLLECTABLE": (files.COLLECTABLE, ["files_live", "artifacts_file", "job_inputs_file", "voices_file"]),
}


@pytest.mark.parametrize("name", HOT)
def test_hot_sql_uses_its_index_and_scans_no_table(history: sqlite3.Connection, name: str) -> None:
    statement, indexes = HOT[name]
    plan = [row[3] for row in history.execute(f"EXPLAIN QUERY PLAN {statement}", PARAMS)]
    text = "\n".join(plan)
    for index in indexes:
        assert any(choice in text for choice in index.split("|")), f"{index} is not used:\n{text}"
    # A scan by a partial index reads only the rows that wait; a co-routine is a result, not a table.
    tables = {
        "jobs",
        "j",
        "s",
        "r",
        "i",
        "f",
        "p",
        "v",
        "a",
        "stages",
        "artifacts",
        "attempts",
        "job_events",
        "files",
        "d",
        "webhook_deliveries",
        "run_times",
        "l",
    }
    tables -= {line.split()[1] for line in plan if line.startswith("CO-ROUTINE")}
    scans = [
        line for line in plan if line.startswith("SCAN") and line.split()[1] in tables and "INDEX" not in line
    ]
    assert scans == [], text


def test_the_claim_reads_only_jobs_that_wait(history: sqlite3.Connection) -> None:
    """Counted in virtual machine steps, which do not depend on the machine: 2,000 old jobs cost nothing."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    history.execute("BEGIN")
    history.set_progress_handler(count, 100)
    try:
        assert len(history.execute(job_queue_sql.CLAIM, PARAMS).fetchall()) == 1
    finally:
        history.set_progress_handler(None, 0)
        history.rollback()
    # About 20 waiting rows at some tens of steps each; a scan of the table would be over 20,000.
    assert steps * 100 < 5_000
