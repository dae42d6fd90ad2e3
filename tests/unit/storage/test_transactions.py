"""A transaction is whole or it is not, also when its caller is cancelled at any await inside it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, StageName
from backend.models.records import JobView, NewEvent
from backend.storage import db as db_module
from backend.storage.errors import StoreBusy, StoreError, StoreUnusable
from backend.storage.store import Store
from tests.unit.storage.kit import claim, complete, enqueue, fall_back, new_file, open_test_store

# More statements than any verb has.
MANY = 40


class CancelAtStatement:
    """Stands in the writer's way and cancels a task when its n-th statement is sent."""

    def __init__(self, store: Store, number: int, *, inner: bool) -> None:
        self._writer: Any = store.db._writer
        self._real: Callable[..., Any] = self._writer.execute_fetchall
        self._number = number
        self._inner = inner
        self.caller: asyncio.Task[Any] | None = None
        self.seen = 0

    def __enter__(self) -> CancelAtStatement:
        self._writer.execute_fetchall = self._execute
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.execute_fetchall = self._real

    async def _execute(self, *args: Any) -> Any:
        self.seen += 1
        if self.seen == self._number:
            victim = asyncio.current_task() if self._inner else self.caller
            assert victim is not None
            # Delivered at the await below, while the statement is on its way to the thread.
            victim.cancel()
        return await self._real(*args)


def is_consistent(view: JobView, before: JobView) -> bool:
    """Whether the job is wholly as before or wholly fallen back."""
    if view.job.state is JobState.RUNNING:
        return view == before
    states = [stage.state.value for stage in view.stages]
    return (
        view.job.state is JobState.QUEUED
        and view.job.fallback_reason is not None
        and states == ["completed", "completed", "pending", "pending"]
        and [str(hop.outcome) for hop in view.attempts] == ["failed"]
    )


@pytest.mark.parametrize("inner", [False, True], ids=["caller", "transaction"])
async def test_a_cancel_at_any_statement_leaves_all_or_nothing_and_no_open_transaction(
    store: Store, inner: bool
) -> None:
    outcomes = set()
    for number in range(1, MANY):
        job = await enqueue(store)
        claimed = await claim(store)
        await complete(store, claimed, STAGE_ORDER[:2])
        await store.jobs.begin_stage(claimed.fence, StageName.VIDEO)
        await store.jobs.begin_attempt(claimed.fence, StageName.VIDEO, "infinitetalk")
        before = await store.jobs.get_view(job.job_id)
        with CancelAtStatement(store, number, inner=inner) as trap:
            trap.caller = asyncio.ensure_future(fall_back(store, claimed))
            await asyncio.wait({trap.caller})
            while store.db._transactions:
                await asyncio.wait(set(store.db._transactions))
            statements = trap.seen
        assert store.db._writer is not None
        assert not store.db._writer.in_transaction
        after = await store.jobs.get_view(job.job_id)
        assert is_consistent(after, before), f"torn at statement {number}"
        fell_back = [
            event for event in await store.jobs.events_since(0, job_id=job.job_id) if event.type == "fallback"
        ]
        assert len(fell_back) == (after.job.state is JobState.QUEUED)
        outcomes.add(after.job.state)
        await store.jobs.request_cancel(job.job_id)
        if after.job.state is JobState.RUNNING:
            await store.jobs.finish_cancelled(claimed.fence)
        if statements < number:
            break
    else:
        pytest.fail("the verb has more statements than this test tries")
    if inner:
        # A cancelled transaction is rolled back unless the cancel met the COMMIT.
        assert outcomes == {JobState.RUNNING, JobState.QUEUED}
    else:
        assert outcomes == {JobState.QUEUED}, "a caller that goes away does not stop the transaction"


async def test_an_error_in_the_middle_rolls_back_what_came_before(store: Store) -> None:
    job = await enqueue(store)

    async def body(transaction: Any) -> None:
        await transaction.run("UPDATE jobs SET title = 'half'")
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await store.db.write(body)
    assert (await store.jobs.get(job.job_id)).title == ""


async def test_a_file_row_that_is_refused_takes_the_whole_stage_with_it(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    await store.jobs.begin_stage(claimed.fence, StageName.SCRIPT)
    good = await new_file(store, f"outputs/{job.job_id}/a.bin")
    same_place = await new_file(store, f"outputs/{job.job_id}/a.bin")
    with pytest.raises(StoreError) as caught:
        await store.jobs.complete_stage(
            claimed.fence, StageName.SCRIPT, artifacts=[("a", good), ("b", same_place)]
        )
    assert caught.value.code is ErrorCode.INTERNAL_ERROR
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    view = await store.jobs.get_view(job.job_id)
    assert view.artifacts == ()
    assert view.stage(StageName.SCRIPT).state.value == "running"
    assert await store.files.find(good.file_id) is None


async def test_listeners_hear_of_commits_only_and_a_broken_one_breaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[NewEvent] = []

    def hear(events: tuple[NewEvent, ...]) -> None:
        heard.extend(events)
        raise RuntimeError("a bad listener")

    store = await open_test_store(tmp_path, on_events=hear)
    try:
        job = await enqueue(store)
        assert [(event.event_id, event.job_id, event.type.value) for event in heard] == [
            (1, job.job_id, "queued")
        ]
        assert "a listener to committed events failed" in caplog.text
        with pytest.raises(StoreError):
            await enqueue(store, priority=1000)
        assert len(heard) == 1
    finally:
        await store.close()


def hold_write_lock(path: Path, held: threading.Event, let_go: threading.Event) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    held.set()
    let_go.wait(30)
    connection.rollback()
    connection.close()


@pytest.fixture
def foreign_writer(tmp_path: Path):
    held, let_go = threading.Event(), threading.Event()
    path = tmp_path / "data" / "sqlite.db"
    thread = threading.Thread(target=hold_write_lock, args=(path, held, let_go))

    def start() -> threading.Event:
        thread.start()
        assert held.wait(10)
        return let_go

    yield start
    let_go.set()
    if thread.ident is not None:
        thread.join()


async def test_writes_wait_for_a_foreign_writer_that_lets_go(store: Store, foreign_writer) -> None:
    let_go = foreign_writer()
    waiting = [asyncio.ensure_future(enqueue(store)) for _ in range(5)]
    done, _ = await asyncio.wait(waiting, timeout=0.3)
    assert not done
    assert await store.jobs.latest_event_id() == 0, "reading goes on meanwhile"
    let_go.set()
    assert len({job.job_id for job in await asyncio.gather(*waiting)}) == 5


async def test_a_foreign_writer_that_does_not_let_go_makes_writes_fail_as_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign_writer
) -> None:
    short = tuple(pragma.replace("=5000", "=50") for pragma in db_module._WRITER_PRAGMAS)
    monkeypatch.setattr(db_module, "_WRITER_PRAGMAS", short)
    monkeypatch.setattr(db_module, "WRITE_WAIT_S", 0.02)
    store = await open_test_store(tmp_path)
    try:
        let_go = foreign_writer()
        results = await asyncio.gather(*(enqueue(store) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, StoreBusy) for result in results), results
        let_go.set()
        for _ in range(100):
            try:
                await enqueue(store)
                break
            except StoreBusy:
                await asyncio.sleep(0.02)
        else:
            pytest.fail("the store did not recover")
    finally:
        await store.close()


async def test_a_full_disk_is_named_and_leaves_the_database_intact(store: Store) -> None:
    job = await enqueue(store)

    async def limit(transaction: Any) -> None:
        (pages,) = await transaction.one("PRAGMA page_count")
        await transaction.run(f"PRAGMA max_page_count={pages}")

    # SQLite answers SQLITE_FULL at this limit exactly as on a full disk (sqlite.org/pragma.html).
    assert store.db._writer is not None
    await store.db.write(limit)
    with pytest.raises(StoreError) as caught:
        await enqueue(store, title="x" * 100_000)
    assert caught.value.code is ErrorCode.DISK_FULL
    assert (await store.jobs.get(job.job_id)).title == ""
    assert (await store.db.one("PRAGMA integrity_check"))[0] == "ok"


async def test_closing_waits_for_what_is_being_written_and_may_be_done_twice(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    writing = asyncio.ensure_future(enqueue(store))
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    job = await writing
    with pytest.raises(StoreError):
        await enqueue(store)
    with pytest.raises(StoreError):
        await store.jobs.get(job.job_id)
    again = await open_test_store(tmp_path)
    assert (await again.jobs.get(job.job_id)).job_id == job.job_id
    await again.close()


async def test_opening_and_closing_many_times_leaves_no_thread_behind(tmp_path: Path) -> None:
    def threads() -> set[threading.Thread]:
        # asyncio's own pool grows to its size and stays.
        return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}

    before = threads()
    for _ in range(5):
        await (await open_test_store(tmp_path)).close()
    started = threads() - before
    for thread in started:
        # The connection is closed a moment before its thread has returned.
        thread.join(timeout=30)
    assert not [thread for thread in started if thread.is_alive()]


def test_an_old_sqlite_is_refused_with_both_versions_named() -> None:
    with pytest.raises(StoreUnusable, match=r"SQLite 3\.36\.0, but 3\.37\.0"):
        db_module.check_sqlite_version((3, 36, 0))
    db_module.check_sqlite_version((3, 37, 0))


async def test_a_file_that_is_no_database_is_refused_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sqlite.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreUnusable) as caught:
        await open_test_store(tmp_path)
    assert "backups" in (caught.value.hint or "")


async def test_a_database_that_vanished_is_refused_at_opening_and_leaves_no_connection(
    tmp_path: Path,
) -> None:
    database = db_module.Database(tmp_path / "missing.db")
    with pytest.raises(StoreUnusable, match=r"missing\.db cannot be opened"):
        await database.open()
    assert database._writer is None
    assert database._readers == []
    assert not (tmp_path / "missing.db").exists()


# aiosqlite ends its thread after the close was answered: it may then speak to a loop that has ended too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_disk_without_a_write_ahead_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite answers with the journal mode it fell back to (sqlite.org/pragma.html#pragma_journal_mode).
    pragmas = tuple(
        pragma.replace("journal_mode=WAL", "journal_mode=DELETE") for pragma in db_module._WRITER_PRAGMAS
    )
    monkeypatch.setattr(db_module, "_WRITER_PRAGMAS", pragmas)
    with pytest.raises(StoreUnusable, match="write-ahead log") as caught:
        await open_test_store(tmp_path)
    assert "network shares" in (caught.value.hint or "")


async def test_opening_an_open_database_changes_nothing(store: Store) -> None:
    writer = store.db._writer
    await store.db.open()
    assert store.db._writer is writer
