# ruff: noqa: S608 - constant statements
"""The database itself refuses what must not be, whoever writes: raw SQL against every rule."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode, StageName
from backend.storage.migrations import MIGRATIONS
from backend.storage.migrations.runner import migrate
from tests.unit.storage.kit import claim, complete, enqueue, open_test_store, run_to_success

STATES = ("queued", "running", "succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one job in each state; in a loop of its own because it outlives single tests."""
    folder = tmp_path_factory.mktemp("rules")

    async def fill() -> None:
        store = await open_test_store(folder)
        await enqueue(store, job_id="job_succeeded")
        await run_to_success(store)
        await enqueue(store, job_id="job_failed000")
        await store.jobs.fail((await claim(store)).fence, ErrorCode.GPU_FAULT, "broken")
        await enqueue(store, job_id="job_cancelled")
        await store.jobs.request_cancel("job_cancelled")
        await enqueue(store, job_id="job_running00")
        claimed = await claim(store)
        await complete(store, claimed, [StageName.SCRIPT])
        await store.jobs.begin_stage(claimed.fence, StageName.SPEECH)
        await store.jobs.begin_attempt(claimed.fence, StageName.SPEECH, "kokoro")
        await store.jobs.report_progress(claimed.fence, 50)
        await enqueue(store, job_id="job_between00")
        claimed = await claim(store)
        await complete(store, claimed, [StageName.SCRIPT])
        await enqueue(store, job_id="job_flagged00")
        await claim(store)
        await store.jobs.request_cancel("job_flagged00")
        await enqueue(store, job_id="job_queued000")
        await store.close()

    asyncio.run(fill())
    return folder / "data" / "sqlite.db"


@pytest.fixture
def raw(filled: Path):
    """A plain connection whose changes are rolled back."""
    connection = sqlite3.connect(filled, isolation_level=None)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("BEGIN")
    yield connection
    connection.rollback()
    connection.close()


FREE = "lease_owner=NULL, lease_expires_at=NULL"
DONE = f"{FREE}, finished_at=1"

REFUSED = {
    "a terminal state is left": [
        f"UPDATE jobs SET state='{state}' WHERE job_id='{job}'"
        for job in ("job_succeeded", "job_failed000", "job_cancelled")
        for state in STATES
        # of two triggers that both refuse, SQLite names one
        if state not in job and state != "succeeded"
    ],
    "a terminal state is left with matching columns": [
        "UPDATE jobs SET state='queued', finished_at=NULL, result_file_id=NULL, progress=0 WHERE job_id='job_succeeded'",
        "UPDATE jobs SET state='queued', finished_at=NULL, error_code=NULL, error_message=NULL"
        " WHERE job_id='job_failed000'",
        "UPDATE jobs SET state='queued', finished_at=NULL, cancel_requested_at=NULL WHERE job_id='job_cancelled'",
        "UPDATE jobs SET state='failed', error_code='timeout', error_message='x', result_file_id=NULL, progress=1"
        " WHERE job_id='job_succeeded'",
    ],
    "a terminal job changes its story": [
        "UPDATE jobs SET error_code='timeout' WHERE job_id='job_failed000'",
        "UPDATE jobs SET finished_at=finished_at+1 WHERE job_id='job_cancelled'",
        "UPDATE jobs SET fallback_reason='invented' WHERE job_id='job_succeeded'",
        "UPDATE jobs SET draft=1 WHERE job_id='job_succeeded'",
    ],
    "success without a result": [
        f"UPDATE jobs SET state='succeeded', progress=100, {DONE} WHERE job_id='job_between00'",
        f"UPDATE jobs SET state='succeeded', progress=100, {DONE}, result_file_id='file_nowhere0'"
        " WHERE job_id='job_between00'",
        f"UPDATE jobs SET state='succeeded', progress=100, {DONE}, result_file_id="
        "(SELECT result_file_id FROM jobs WHERE job_id='job_succeeded') WHERE job_id='job_between00'",
    ],
    "progress of a hundred without success": ["UPDATE jobs SET progress=100 WHERE job_id='job_running00'"],
    "progress goes back": ["UPDATE jobs SET progress=49.9 WHERE job_id='job_running00'"],
    "progress out of range": [
        "UPDATE jobs SET progress=101 WHERE job_id='job_running00'",
        "UPDATE jobs SET progress=-1 WHERE job_id='job_queued000'",
    ],
    "failure without a code": [
        f"UPDATE jobs SET state='failed', error_message='x', {DONE} WHERE job_id='job_between00'",
        f"UPDATE jobs SET state='failed', error_code='timeout', {DONE} WHERE job_id='job_between00'",
    ],
    "a lease that does not fit the state": [
        "UPDATE jobs SET lease_owner=NULL WHERE job_id='job_running00'",
        "UPDATE jobs SET lease_expires_at=NULL WHERE job_id='job_running00'",
        "UPDATE jobs SET lease_owner='x', lease_expires_at=1 WHERE job_id='job_queued000'",
    ],
    "a claim that is not one attempt": [
        "UPDATE jobs SET state='running', lease_owner='x', lease_expires_at=1, started_at=1"
        " WHERE job_id='job_queued000'",
        "UPDATE jobs SET attempt=attempt+1 WHERE job_id='job_running00'",
        "UPDATE jobs SET attempt=attempt-1 WHERE job_id='job_running00'",
    ],
    "a queued job ends without having run": [
        "UPDATE jobs SET state='failed', error_code='timeout', error_message='x', finished_at=1"
        " WHERE job_id='job_queued000'"
    ],
    "a requested cancel is withdrawn": [
        "UPDATE jobs SET cancel_requested_at=NULL WHERE job_id='job_flagged00'",
        f"UPDATE jobs SET state='queued', cancel_requested_at=NULL, {FREE} WHERE job_id='job_flagged00'",
        f"UPDATE jobs SET state='failed', cancel_requested_at=NULL, error_code='timeout', error_message='x', {DONE}"
        " WHERE job_id='job_flagged00'",
    ],
    "a job stops running with a stage or hop open": [
        f"UPDATE jobs SET state='queued', {FREE} WHERE job_id='job_running00'",
        f"UPDATE jobs SET state='failed', error_code='timeout', error_message='x', {DONE} WHERE job_id='job_running00'",
    ],
    "what a job is about changes": [
        "UPDATE jobs SET request_json='{}' WHERE job_id='job_queued000'",
        "UPDATE jobs SET seed=seed+1 WHERE job_id='job_queued000'",
        "UPDATE jobs SET owner='thief' WHERE job_id='job_queued000'",
    ],
    "a job that is not over is deleted": [
        "UPDATE jobs SET deleted_at=1 WHERE job_id='job_running00'",
        "UPDATE jobs SET deleted_at=1 WHERE job_id='job_queued000'",
    ],
    "a stage moves although the job does not run": [
        "UPDATE stages SET state='completed', started_at=1, finished_at=1 WHERE job_id='job_queued000'",
        "UPDATE stages SET state='pending', finished_at=NULL WHERE job_id='job_succeeded'",
    ],
    "two stages run at once": [
        "UPDATE stages SET state='running', started_at=1 WHERE job_id='job_running00' AND name='video'"
    ],
    "two hops are open at once": [
        "INSERT INTO attempts (job_id, attempt, stage, engine, started_at) VALUES ('job_running00',1,'video','draft',1)"
    ],
    "a hop of an attempt that does not run": [
        "INSERT INTO attempts (job_id, attempt, stage, engine, started_at) VALUES ('job_queued000',1,'video','draft',1)"
    ],
    "a second terminal event": [
        f"INSERT INTO job_events (job_id, type, data_json, at) VALUES ('job_succeeded','{kind}','{{}}',1)"
        for kind in ("completed", "failed", "cancelled")
    ],
    "a file in use is deleted": [
        "UPDATE files SET deleted_at=1 WHERE rel_path='outputs/job_succeeded/video.mp4'"
    ],
    "a stored file changes": [
        "UPDATE files SET bytes=bytes+1",
        "UPDATE files SET sha256=replace(sha256, substr(sha256,1,1), 'z')",
    ],
    "a file outside data": [
        "INSERT INTO files (file_id, kind, rel_path, bytes, sha256, media_type, created_at) VALUES"
        f" ('file_12345678','upload','{path}',1,'{'0' * 64}','x/y',1)"
        for path in ("/etc/passwd", "../x", "uploads/../../x", "uploads/..", "a\\b", "")
    ],
    "a file without a hash": [
        "INSERT INTO files (file_id, kind, rel_path, bytes, sha256, media_type, created_at) VALUES"
        f" ('file_12345678','upload','uploads/x',1,'{digest}','x/y',1)"
        for digest in ("", "0" * 63, "G" * 64)
    ],
    "a job is born other than queued": [
        "INSERT INTO jobs (job_id, state, lease_owner, lease_expires_at, attempt, started_at, request_json,"
        " request_sha256, engine_plan_json, selected_engine, seed, created_at, updated_at) VALUES"
        " ('job_12345678','running','x',1,1,1,'{}','x','[]','draft',1,1,1)"
    ],
    "a type that does not fit": ["UPDATE jobs SET priority='high' WHERE job_id='job_queued000'"],
    "an event of an unknown job": [
        "INSERT INTO job_events (job_id, type, data_json, at) VALUES ('job_nowhere00','queued','{}',1)"
    ],
    "an idempotency key twice": [
        "UPDATE jobs SET idempotency_key='k' WHERE job_id IN ('job_queued000','job_running00')"
    ],
}


REASONS = {
    "a terminal state is left": "a terminal state is never left",
    "a terminal state is left with matching columns": "never",
    "a terminal job changes its story": "a terminal state is never left",
    "success without a result": "success needs every stage completed and a result file",
    "progress of a hundred without success": "(state = 'succeeded') = (progress = 100)",
    "progress goes back": "progress never goes backwards",
    "progress out of range": "progress",
    "failure without a code": "(state = 'failed') =",
    "a lease that does not fit the state": "(state = 'running') = (lease",
    "a claim that is not one attempt": "each claim is one attempt",
    "a queued job ends without having run": "a queued job can only be claimed or cancelled",
    "a requested cancel is withdrawn": "a requested cancel is never withdrawn",
    "a job stops running with a stage or hop open": "leaves no stage and no hop open",
    "what a job is about changes": "what a job is about never changes",
    "a job that is not over is deleted": "deleted_at IS NULL OR state",
    "a stage moves although the job does not run": "stages move only while the job runs",
    "two stages run at once": "UNIQUE constraint failed: stages.job_id",
    "two hops are open at once": "UNIQUE constraint failed: attempts.job_id",
    "a hop of an attempt that does not run": "a hop belongs to the attempt that runs",
    "a second terminal event": "UNIQUE constraint failed: job_events.job_id",
    "a file in use is deleted": "a live row still references the file",
    "a stored file changes": "a stored file never changes",
    "a file outside data": "CHECK constraint failed: rel_path",
    "a file without a hash": "CHECK constraint failed: length(sha256)",
    "a job is born other than queued": "a job begins queued",
    "a type that does not fit": "cannot store TEXT value in INTEGER column",
    "an event of an unknown job": "FOREIGN KEY constraint failed",
    "an idempotency key twice": "UNIQUE constraint failed: jobs.owner, jobs.idempotency_key",
}


@pytest.mark.parametrize(
    ("reason", "statement"),
    [
        pytest.param(REASONS[rule], statement, id=f"{rule} {number}")
        for rule, statements in REFUSED.items()
        for number, statement in enumerate(statements)
    ],
)
def test_the_database_refuses(raw: sqlite3.Connection, reason: str, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError) as caught:
        raw.execute(statement)
    assert reason in str(caught.value)


def test_what_is_allowed_on_an_ended_job_is_its_deletion(raw: sqlite3.Connection) -> None:
    raw.execute(
        "UPDATE jobs SET deleted_at=1, updated_at=1, idempotency_key=NULL WHERE job_id='job_succeeded'"
    )


def test_every_table_is_strict(raw: sqlite3.Connection) -> None:
    tables = raw.execute(
        "SELECT name, strict FROM pragma_table_list WHERE type='table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {name: strict for name, strict in tables if not strict} == {}


def test_a_new_database_has_the_promised_settings(tmp_path: Path) -> None:
    path = tmp_path / "sqlite.db"
    migrate(path, MIGRATIONS, backups_dir=tmp_path)
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    finally:
        connection.close()


async def test_the_connections_have_the_promised_settings(store) -> None:
    async def pragmas(transaction) -> dict[str, object]:
        names = ("synchronous", "foreign_keys", "busy_timeout", "trusted_schema")
        return {name: (await transaction.one(f"PRAGMA {name}"))[0] for name in names}

    assert await store.db.write(pragmas) == {
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "trusted_schema": 0,
    }
    assert (await store.db.one("PRAGMA query_only"))[0] == 1
    with pytest.raises(Exception, match="could not do"):
        await store.db.all("DELETE FROM jobs")
