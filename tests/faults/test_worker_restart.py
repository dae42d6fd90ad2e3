"""After a failure: waiting, resting, trying again; and nothing is left over by many lives."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from backend.engines.supervisor import ProgressUpdate, WorkerSupervisor
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import ManualClock
from tests.fixtures.workers.harness import (
    Witness,
    eventually,
    failure_of,
    is_alive,
    make_request,
    make_spec,
    supervised,
)

LONGEST_WAIT_S = 60.0 * 1.2


async def fail_to_start(supervisor: WorkerSupervisor, clock: ManualClock, tmp_path: Path) -> EngineFailure:
    """One failed start; the wait before it is skipped on the clock."""
    clock.advance(LONGEST_WAIT_S)
    return await failure_of(supervisor, make_request(tmp_path))


async def test_five_failed_starts_make_an_engine_unavailable_for_five_minutes(tmp_path: Path) -> None:
    clock, witness = ManualClock(), Witness()
    spec = make_spec(tmp_path, "exits_at_import")
    async with supervised(spec, clock=clock, witness=witness) as supervisor:
        for _ in range(5):
            assert supervisor.snapshot().unavailable_until_ms is None
            failure = await fail_to_start(supervisor, clock, tmp_path)
            assert failure.code is ErrorCode.IMPORT_FAILED
        snapshot = supervisor.snapshot()
        assert snapshot.state == "unavailable"
        assert snapshot.unavailable_until_ms == clock.now_ms() + 300_000
        failure = await failure_of(supervisor, make_request(tmp_path))
        assert (failure.code, failure.retryable) == (ErrorCode.ENGINE_UNAVAILABLE, False)
        assert "could not start" in failure.detail  # the reason is not hidden behind the rest
        assert len(witness.spawned) == 5
        clock.advance(300.0)
        assert supervisor.snapshot().unavailable_until_ms is None
        failure = await failure_of(supervisor, make_request(tmp_path))
        assert failure.code is ErrorCode.IMPORT_FAILED
        assert len(witness.spawned) == 6
        assert supervisor.snapshot().state == "unavailable"


async def test_a_success_between_crashes_keeps_an_engine_available(tmp_path: Path) -> None:
    clock = ManualClock()
    async with supervised(make_spec(tmp_path, "unruly"), clock=clock) as supervisor:
        for _ in range(6):
            clock.advance(LONGEST_WAIT_S)
            failure = await failure_of(supervisor, make_request(tmp_path, "exits"))
            assert failure.code is ErrorCode.WORKER_CRASHED
            clock.advance(LONGEST_WAIT_S)
            await supervisor.run(make_request(tmp_path, "behave"))


async def test_the_next_start_waits_its_time_and_a_cancel_need_not(tmp_path: Path) -> None:
    clock, witness = ManualClock(), Witness()
    async with supervised(make_spec(tmp_path, "unruly"), clock=clock, witness=witness) as supervisor:
        await failure_of(supervisor, make_request(tmp_path, "exits"))
        waiting = asyncio.create_task(supervisor.run(make_request(tmp_path, "behave")))
        await asyncio.sleep(0.2)
        assert len(witness.spawned) == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(JobCancelled):
            await supervisor.run(make_request(tmp_path, "behave"), cancelled=lambda: True)
        assert len(witness.spawned) == 1
        clock.advance(1.3)
        assert (await supervisor.run(make_request(tmp_path, "behave"))).data == {"behaved": True}
        assert len(witness.spawned) == 2


async def test_a_card_that_is_not_supported_makes_the_engine_unavailable_at_once(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        params = {"text": "CUDA error: no kernel image is available for execution on the device"}
        failure = await failure_of(supervisor, make_request(tmp_path, "raises", params=params))
        assert failure.code is ErrorCode.GPU_UNSUPPORTED
        failure = await failure_of(supervisor, make_request(tmp_path, "behave"))
        assert failure.code is ErrorCode.ENGINE_UNAVAILABLE


async def test_stopping_does_not_wait_for_the_end_of_a_backoff(tmp_path: Path) -> None:
    clock = ManualClock()
    async with supervised(make_spec(tmp_path, "unruly"), clock=clock) as supervisor:
        await failure_of(supervisor, make_request(tmp_path, "exits"))
        waiting = asyncio.create_task(supervisor.run(make_request(tmp_path, "behave")))
        await asyncio.sleep(0.05)
        await supervisor.stop()
        with pytest.raises(EngineFailure) as caught:
            await waiting
        assert caught.value.code is ErrorCode.WORKER_LOST


async def test_a_worker_that_dies_while_idle_is_noticed_and_replaced(tmp_path: Path) -> None:
    witness = Witness()
    async with supervised(make_spec(tmp_path), witness=witness) as supervisor:
        await supervisor.warm()
        os.kill(witness.spawned[0].pid, 9)
        await eventually(lambda: len(witness.died) == 1, "the death is noticed")
        assert witness.died[0][1] == -9
        assert supervisor.snapshot().state == "stopped"
        assert (await supervisor.run(make_request(tmp_path, params={"n": 1}))).data["params"] == {"n": 1}


async def test_stop_ends_a_deaf_worker_and_all_it_started(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "ignores_everything")
        task = asyncio.create_task(supervisor.run(request, report=updates.append))
        await eventually(lambda: bool(updates), "the task runs")
        await supervisor.stop(0.1)
        with pytest.raises(EngineFailure) as caught:
            await task
        assert caught.value.code is ErrorCode.WORKER_LOST
        assert not any(is_alive(int(pid)) for pid in (request.output_dir / "pids").read_text().split())


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
async def test_many_lives_leave_no_descriptor_no_thread_and_no_task(tmp_path: Path) -> None:
    async def live() -> None:
        async with supervised(make_spec(tmp_path)) as supervisor:
            await supervisor.run(make_request(tmp_path, "write"))

    def counted() -> tuple[int, int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(asyncio.all_tasks())

    await live()
    before = counted()
    for _ in range(5):
        await live()
    await eventually(lambda: counted() <= before, f"{counted()} shrinks to {before}", timeout_s=5.0)
