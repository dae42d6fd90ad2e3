"""The database's version tells, without reading a row, that nothing was committed since it was taken."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tests.unit.storage.kit import claim, enqueue, open_test_store


async def test_it_stays_while_nothing_is_committed_and_changes_with_every_commit(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    try:
        await enqueue(store)
        seen = [store.jobs.version()]
        await store.jobs.counts()
        assert store.jobs.version() == seen[0] is not None
        running = await claim(store)
        seen.append(store.jobs.version())
        await store.jobs.request_cancel(running.fence.job_id)
        seen.append(store.jobs.version())
        assert len(set(seen)) == len(seen)
    finally:
        await store.close()
    assert store.jobs.version() is None


async def test_a_commit_of_another_program_changes_it_too(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    try:
        before = store.jobs.version()
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "sqlite.db")) as other, other:
            other.execute("CREATE TABLE foreign_to_us (x)")
        assert store.jobs.version() != before
    finally:
        await store.close()
