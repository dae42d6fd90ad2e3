"""Another program holds the database: requests wait, then say 503; a job at work is not the one to suffer."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode, StageName
from backend.models.records import Fence
from backend.services import dispatcher as dispatcher_module
from backend.storage import db as db_module
from backend.storage.errors import StoreBusy
from backend.storage.jobs import JobStore
from tests.faults.scenes import reaches
from tests.support.studio import job_body, running_studio

# Well below the 5 s that SQLite waits by itself, well above what any write takes.
HELD_S = 3.0


@contextlib.asynccontextmanager
async def held(folder: Path) -> AsyncIterator[threading.Event]:
    """The database in the hands of a foreign writer until the event is set or the block ends."""
    let_go, has_it = threading.Event(), threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(folder / "data" / "sqlite.db", isolation_level=None, timeout=30)
        connection.execute("BEGIN IMMEDIATE")
        has_it.set()
        let_go.wait(60)
        connection.execute("ROLLBACK")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        # Not on the loop: the service may be in the middle of a write that it has to finish first.
        assert await asyncio.to_thread(has_it.wait, 30)
        yield let_go
    finally:
        let_go.set()
        await asyncio.to_thread(thread.join)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's deadlines are 5 and 10 s; here they are passed at once."""
    pragmas = tuple(pragma.replace("=5000", "=50") for pragma in db_module._WRITER_PRAGMAS)
    assert pragmas != db_module._WRITER_PRAGMAS
    monkeypatch.setattr(db_module, "_WRITER_PRAGMAS", pragmas)
    monkeypatch.setattr(db_module, "WRITE_WAIT_S", 0.1)
    monkeypatch.setattr(dispatcher_module, "STORE_RETRY_S", 0.1)


async def test_requests_wait_for_a_foreign_writer_of_three_seconds_and_none_fails(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause", json={"reason": "test"})
        async with held(tmp_path) as let_go:
            asyncio.get_running_loop().call_later(HELD_S, let_go.set)
            posts = [studio.http.post("/api/jobs", json=job_body(title=str(n))) for n in range(20)]
            reads = [studio.http.get("/api/jobs") for _ in range(5)]
            first_read = asyncio.ensure_future(asyncio.gather(*reads))
            answers = asyncio.ensure_future(asyncio.gather(*posts))
            await first_read
            assert not answers.done(), "who only looks does not wait"
            assert {answer.status_code for answer in first_read.result()} == {200}
            assert {answer.status_code for answer in await answers} == {202}
        assert (await studio.http.get("/api/queue")).json()["queued"] == 20


@pytest.mark.usefixtures("impatient")
async def test_when_the_wait_is_over_the_answer_is_503_with_a_time_to_come_again(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        async with held(tmp_path):
            answer = await studio.http.post("/api/jobs", json=job_body())
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            problem = answer.json()
            assert (problem["code"], problem["status"]) == ("not_ready", 503)
            assert problem["hint"]
            assert (await studio.http.get("/health")).status_code == 200
        job_id = await studio.submit()
        assert (await studio.wait_for(job_id))["status"] == "completed"
        listed = (await studio.http.get("/api/jobs")).json()["data"]
        assert [job["job_id"] for job in listed] == [job_id], "the refused one left nothing"


@pytest.mark.usefixtures("impatient")
async def test_a_stage_whose_end_met_a_held_database_is_not_a_failed_stage_although_it_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_stage = JobStore.complete_stage
    refusals = [StoreBusy(ErrorCode.NOT_READY, "The database is held by another program at the moment.")]

    async def held_once(self: JobStore, fence: Fence, stage: StageName, **more: Any) -> Any:
        if stage is StageName.VIDEO and refusals:
            raise refusals.pop()
        return await complete_stage(self, fence, stage, **more)

    monkeypatch.setattr(JobStore, "complete_stage", held_once)
    async with running_studio(tmp_path) as studio:
        view = await studio.wait_for(await studio.submit())
        assert view["status"] == "completed", view
        assert not refusals
        outcomes = [hop["outcome"] for hop in view["attempts"] if hop["stage"] == "video"]
        assert outcomes == ["released", "succeeded"]


@pytest.mark.usefixtures("impatient")
async def test_a_job_at_work_outlasts_a_foreign_writer_and_goes_on_from_its_last_finished_stage(
    tmp_path: Path,
) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.gate.clear()
        job_id = await studio.submit()
        await reaches(studio, job_id, stage="video")
        async with held(tmp_path):
            studio.draft.gate.set()
            await asyncio.sleep(1.0)
            assert (await studio.view(job_id))["status"] == "processing", "its end cannot be written yet"
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed", view
        assert len(studio.speech.seen) == 1
        outcomes = [hop["outcome"] for hop in view["attempts"] if hop["stage"] == "video"]
        assert outcomes == ["released", "succeeded"], "not a failure, and no loss"
