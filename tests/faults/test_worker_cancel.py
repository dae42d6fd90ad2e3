"""Cancel, deadline and abandonment: ask, then TERM, then KILL of the whole tree."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.supervisor import ProgressUpdate, WorkerSupervisor
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import ManualClock
from tests.fixtures.workers.harness import (
    SHORT,
    Witness,
    eventually,
    failure_of,
    is_alive,
    make_request,
    make_spec,
    supervised,
)


async def test_a_cooperative_task_stops_within_a_second_and_the_worker_stays_warm(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        await supervisor.warm()
        pid = supervisor.snapshot().pid
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "steps", params={"steps": 10_000, "pause_s": 0.05})
        run = supervisor.run(request, report=updates.append, cancelled=lambda: bool(updates))
        with pytest.raises(JobCancelled):
            await asyncio.wait_for(run, timeout=5.0)
        assert (await supervisor.run(make_request(tmp_path, params={"n": 1}))).data["params"] == {"n": 1}
        assert supervisor.snapshot().pid == pid


async def test_a_deaf_worker_and_all_it_started_are_gone_after_the_ladder(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "ignores_everything")
        with pytest.raises(JobCancelled):
            await supervisor.run(request, report=updates.append, cancelled=lambda: bool(updates))
        child, daemon = map(int, (request.output_dir / "pids").read_text().split())
        assert not is_alive(child)
        assert not is_alive(daemon)
        assert (await supervisor.run(make_request(tmp_path, "behave"))).data == {"behaved": True}


async def test_a_worker_in_native_code_is_terminated_when_the_asking_is_in_vain(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "holds_the_gil", params={"seconds": 60})
        with pytest.raises(JobCancelled):
            await supervisor.run(request, report=updates.append, cancelled=lambda: bool(updates))
        assert (await supervisor.run(make_request(tmp_path, "behave"))).data == {"behaved": True}


async def test_a_late_cancel_does_not_hit_the_next_job(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        first = make_request(tmp_path, "steps", params={"steps": 1})
        await supervisor.run(first)
        second = make_request(tmp_path, "steps", params={"steps": 20, "pause_s": 0.02})
        updates: list[ProgressUpdate] = []
        task = asyncio.create_task(supervisor.run(second, report=updates.append))
        await eventually(lambda: bool(updates), "the second task runs")
        _cancel_on_the_wire(supervisor, first.job_id, first.attempt)
        assert (await task).data == {"steps": 20}


async def test_a_cancel_that_names_the_running_attempt_hits_it(tmp_path: Path) -> None:
    """The counterpart of the test above: the same line with the right number does stop the task."""
    async with supervised(make_spec(tmp_path)) as supervisor:
        request = make_request(tmp_path, "steps", params={"steps": 500, "pause_s": 0.02})
        updates: list[ProgressUpdate] = []
        task = asyncio.create_task(supervisor.run(request, report=updates.append))
        await eventually(lambda: bool(updates), "the task runs")
        _cancel_on_the_wire(supervisor, request.job_id, request.attempt)
        with pytest.raises(EngineFailure) as caught:  # the supervisor did not ask: an error, not a cancel
            await task
        assert caught.value.code is ErrorCode.INTERNAL_ERROR


def _cancel_on_the_wire(supervisor: WorkerSupervisor, job_id: str, attempt: int) -> None:
    session = supervisor._session
    assert session is not None
    session._process.send("cancel", {"job_id": job_id, "attempt": attempt, "reason": "test"})


async def test_a_job_that_waits_for_its_turn_can_be_cancelled(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        updates: list[ProgressUpdate] = []
        long = make_request(tmp_path, "steps", params={"steps": 50, "pause_s": 0.02})
        first = asyncio.create_task(supervisor.run(long, report=updates.append))
        await eventually(lambda: bool(updates), "the first task runs")
        with pytest.raises(JobCancelled):
            await supervisor.run(make_request(tmp_path), cancelled=lambda: True)
        assert not first.done()
        third = asyncio.create_task(supervisor.run(make_request(tmp_path)))
        assert (await first).data == {"steps": 50}
        assert (await third).data["unloads"] == 0


async def test_cancelling_the_coroutine_stops_the_workers_task_too(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "steps", params={"steps": 10_000, "pause_s": 0.02})
        task = asyncio.create_task(supervisor.run(request, report=updates.append))
        await eventually(lambda: bool(updates), "the task runs")
        pid = supervisor.snapshot().pid
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert supervisor.snapshot().state == "idle"
        assert (await supervisor.run(make_request(tmp_path))).data["unloads"] == 0
        assert supervisor.snapshot().pid == pid


async def test_a_caller_that_is_cancelled_twice_leaves_at_once_and_the_ladder_runs_on(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "ignores_everything")
        task = asyncio.create_task(supervisor.run(request, report=updates.append))
        await eventually(lambda: bool(updates), "the task runs")
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
        assert task.cancelled()
        assert supervisor.snapshot().state == "cancelling"
        assert (await supervisor.run(make_request(tmp_path, "behave"))).data == {"behaved": True}
        child, daemon = map(int, (request.output_dir / "pids").read_text().split())
        assert not is_alive(child)
        assert not is_alive(daemon)


async def test_cancelling_a_coroutine_that_waits_leaves_the_line_intact(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        requests = [make_request(tmp_path, "steps", params={"steps": 5, "pause_s": 0.01}) for _ in range(6)]
        tasks = [asyncio.create_task(supervisor.run(request)) for request in requests]
        await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(end, asyncio.CancelledError) for end in ended] == [False, True] * 3


@pytest.mark.parametrize("steps", range(6))
async def test_a_turn_that_comes_in_the_moment_of_its_cancellation_is_given_back(
    tmp_path: Path, steps: int
) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        turn = supervisor._turn
        assert turn is not None
        await turn.acquire()
        waiting = asyncio.create_task(supervisor.run(make_request(tmp_path)))
        await asyncio.sleep(0.01)
        turn.release()
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(turn.acquire(), timeout=10.0)
        turn.release()


async def test_a_cancel_question_that_raises_stops_the_task_and_tells(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        updates: list[ProgressUpdate] = []

        def broken() -> bool:
            if updates:
                raise ZeroDivisionError
            return False

        request = make_request(tmp_path, "steps", params={"steps": 10_000, "pause_s": 0.02})
        with pytest.raises(ZeroDivisionError):
            await supervisor.run(request, report=updates.append, cancelled=broken)
        assert supervisor.snapshot().state == "idle"
        await supervisor.run(make_request(tmp_path))
        assert supervisor.snapshot().restarts == 0


async def test_a_job_beyond_its_deadline_times_out_and_a_cooperative_worker_stays(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        await supervisor.warm()
        pid = supervisor.snapshot().pid
        request = make_request(tmp_path, "steps", params={"steps": 10_000, "pause_s": 0.02}, deadline_s=0.2)
        failure = await failure_of(supervisor, request)
        assert (failure.code, failure.retryable) == (ErrorCode.TIMEOUT, False)
        await supervisor.run(make_request(tmp_path))
        assert supervisor.snapshot().pid == pid


@pytest.mark.parametrize("moves", [True, False])
async def test_a_slow_film_is_not_late_while_it_gets_on(tmp_path: Path, moves: bool) -> None:
    clock = ManualClock()
    async with supervised(make_spec(tmp_path), clock=clock) as supervisor:
        request = make_request(
            tmp_path,
            "steps",
            params={"steps": 60, "pause_s": 0.05},
            deadline_s=300.0,
            deadline_moves=moves,
        )

        def minutes_later(update: ProgressUpdate) -> None:
            clock.advance(200.0)

        if moves:
            await supervisor.run(request, report=minutes_later)
        else:
            with pytest.raises(EngineFailure) as caught:
                await supervisor.run(request, report=minutes_later)
            assert caught.value.code is ErrorCode.TIMEOUT


async def test_a_worker_that_is_silent_for_ten_minutes_is_hung(tmp_path: Path) -> None:
    clock = ManualClock()
    spec = make_spec(tmp_path, "unruly", limits=replace(SHORT, quiet_running_s=600.0))
    async with supervised(spec, clock=clock) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "holds_the_gil", params={"seconds": 60}, deadline_s=7200.0)
        task = asyncio.create_task(supervisor.run(request, report=updates.append))
        await eventually(lambda: bool(updates), "the task runs")
        await asyncio.sleep(0.2)
        clock.advance(599.0)
        await asyncio.sleep(0.2)
        assert not task.done()
        clock.advance(2.0)
        with pytest.raises(EngineFailure) as caught:
            await task
        assert caught.value.code is ErrorCode.WORKER_HUNG


async def test_a_crash_while_a_cancel_is_wanted_counts_as_cancelled(tmp_path: Path) -> None:
    witness = Witness()
    async with supervised(make_spec(tmp_path, "unruly"), witness=witness) as supervisor:
        with pytest.raises(JobCancelled):
            await supervisor.run(make_request(tmp_path, "exits"), cancelled=lambda: bool(witness.died))
        assert [code for _, code in witness.died] == [3]
