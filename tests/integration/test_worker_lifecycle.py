"""A real worker process under a real supervisor: start, tasks, progress, cancel, idle, replacement."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.supervisor import ProgressUpdate
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import ManualClock
from tests.fixtures.workers.harness import (
    SHORT,
    Witness,
    eventually,
    failure_of,
    make_request,
    make_spec,
    supervised,
)


async def test_start_spawns_nothing_and_warm_spawns_one_process(tmp_path: Path) -> None:
    witness = Witness()
    async with supervised(make_spec(tmp_path, options={"threads": 2}), witness=witness) as supervisor:
        await asyncio.sleep(0.05)
        assert witness.spawned == []
        assert supervisor.snapshot().state == "stopped"
        await supervisor.warm()
        await supervisor.warm()
        snapshot = supervisor.snapshot()
        assert snapshot.state == "idle"
        assert snapshot.ready["engine_version"] == "1.0"
        assert snapshot.ready["threads"] == 2
        assert [identity.pid for identity in witness.spawned] == [snapshot.pid]
        assert snapshot.restarts == 0
    assert [(identity.pid, code) for identity, code in witness.died] == [(witness.spawned[0].pid, 0)]


async def test_a_task_gets_its_inputs_and_its_data_and_files_come_back(tmp_path: Path) -> None:
    updates: list[ProgressUpdate] = []
    async with supervised(make_spec(tmp_path)) as supervisor:
        request = make_request(
            tmp_path, "echo", inputs={"a": tmp_path / "x y 中.png"}, seed=7, model="small", params={"n": 1}
        )
        echo = await supervisor.run(request)
        assert echo.data["inputs"] == {"a": str(tmp_path / "x y 中.png")}
        assert (echo.data["seed"], echo.data["model"], echo.data["params"]) == (7, "small", {"n": 1})

        request = make_request(tmp_path, "write")
        result = await supervisor.run(request, report=updates.append)
    assert result.data == {"frames": 38}
    (artifact,) = result.artifacts
    content = artifact.path.read_bytes()
    assert artifact.path.is_relative_to(request.output_dir.resolve())
    assert (artifact.bytes, artifact.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (artifact.role, artifact.width, artifact.duration_s) == ("video", 64, 1.5)
    assert [(update.fraction, update.message, update.stage) for update in updates] == [
        (0.5, "half way", "render"),
        (1.0, "done", "render"),
    ]
    assert set(result.metrics) == {"load_s", "run_s", "peak_vram_mib"}


async def test_progress_is_thinned_and_its_last_word_always_arrives(tmp_path: Path) -> None:
    updates: list[ProgressUpdate] = []
    async with supervised(make_spec(tmp_path)) as supervisor:
        request = make_request(tmp_path, "steps", params={"steps": 3000})
        await supervisor.run(request, report=updates.append)
    assert 1 <= len(updates) < 1000
    assert [update.message for update in updates][-1] == "last"
    fractions = [update.fraction for update in updates if update.fraction is not None]
    assert fractions == sorted(fractions)


async def test_progress_that_was_held_back_is_sent_while_the_task_is_quiet(tmp_path: Path) -> None:
    updates: list[ProgressUpdate] = []
    spec = make_spec(tmp_path, limits=replace(SHORT, heartbeat_s=60.0))  # no heartbeat carries it along
    async with supervised(spec) as supervisor:
        request = make_request(tmp_path, "two_words_then_silence")
        run = supervisor.run(request, report=updates.append, cancelled=lambda: len(updates) == 2)
        with pytest.raises(JobCancelled):  # it would be quiet for a minute: the second word ends it
            await asyncio.wait_for(run, timeout=10.0)
    assert [update.message for update in updates] == ["first", "second"]


async def test_tasks_run_one_at_a_time_in_the_order_they_came(tmp_path: Path) -> None:
    order: list[int] = []
    async with supervised(make_spec(tmp_path)) as supervisor:

        async def one(number: int) -> None:
            request = make_request(tmp_path, "steps", params={"steps": 2, "pause_s": 0.01})
            await supervisor.run(request)
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(5)))
        assert supervisor.snapshot().tasks_done == 5
        assert supervisor.snapshot().restarts == 0
    assert order == [0, 1, 2, 3, 4]


async def test_an_input_that_cannot_work_gets_the_handlers_sentence_without_paths(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path, "refuse"))
    assert failure.code is ErrorCode.FACE_NOT_FOUND
    assert failure.detail == "No face was found in holiday.jpg."
    assert not failure.retryable
    assert failure.hint


async def test_a_task_that_cannot_be_said_in_json_fails_and_harms_nobody(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path, params={"bad": {1, 2}}))
        assert failure.code is ErrorCode.INTERNAL_ERROR
        failure = await failure_of(supervisor, make_request(tmp_path, params={"long": "x" * 2_000_000}))
        assert failure.code is ErrorCode.INTERNAL_ERROR
        assert (await supervisor.run(make_request(tmp_path, params={"n": 2}))).data["params"] == {"n": 2}
        assert supervisor.snapshot().restarts == 0


async def test_a_listener_that_raises_does_not_cost_the_job(tmp_path: Path) -> None:
    def broken(update: ProgressUpdate) -> None:
        raise ValueError("a mistake of ours")

    async with supervised(make_spec(tmp_path)) as supervisor:
        result = await supervisor.run(make_request(tmp_path, "write"), report=broken)
        assert result.data == {"frames": 38}


async def test_a_worker_that_was_idle_for_long_is_let_go_and_the_next_task_starts_another(
    tmp_path: Path,
) -> None:
    clock, witness = ManualClock(), Witness()
    spec = make_spec(tmp_path, idle_unload_s=600.0)
    async with supervised(spec, witness=witness, clock=clock) as supervisor:
        await supervisor.warm()
        clock.advance(599.0)
        await asyncio.sleep(0.2)
        assert supervisor.snapshot().state == "idle"
        clock.advance(2.0)
        await eventually(lambda: len(witness.died) == 1, "the idle worker ends")
        assert witness.died[0][1] == 0
        assert supervisor.snapshot().state == "stopped"
        await supervisor.run(make_request(tmp_path))
        assert len(witness.spawned) == 2


async def test_a_worn_worker_is_replaced(tmp_path: Path) -> None:
    witness = Witness()
    async with supervised(make_spec(tmp_path, recycle_after_tasks=2), witness=witness) as supervisor:
        for _ in range(5):
            await supervisor.run(make_request(tmp_path))
        assert len(witness.spawned) == 3
        assert [code for _, code in witness.died] == [0, 0]


async def test_the_second_worker_starts_only_when_the_first_is_gone(tmp_path: Path) -> None:
    witness = Witness()

    class Order(Witness):
        def worker_spawned(self, identity: object) -> None:
            assert len(witness.died) == len(witness.spawned)
            witness.worker_spawned(identity)  # type: ignore[arg-type]

        def worker_died(self, identity: object, exit_code: int | None) -> None:
            witness.worker_died(identity, exit_code)  # type: ignore[arg-type]

    async with supervised(make_spec(tmp_path, recycle_after_tasks=1), witness=Order()) as supervisor:
        for _ in range(3):
            await supervisor.run(make_request(tmp_path))
    assert len(witness.spawned) == 3


async def test_stop_is_idempotent_and_a_stopped_supervisor_can_start_again(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        await supervisor.start()
        await supervisor.warm()
        await supervisor.stop()
        await supervisor.stop()
        failure = await failure_of(supervisor, make_request(tmp_path))
        assert failure.code is ErrorCode.WORKER_LOST
        await supervisor.start()
        assert (await supervisor.run(make_request(tmp_path))).data["unloads"] == 0


async def test_stopping_while_a_task_runs_loses_the_task_and_nothing_else(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path)) as supervisor:
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "steps", params={"steps": 1000, "pause_s": 0.05})
        task = asyncio.create_task(supervisor.run(request, report=updates.append))
        await eventually(lambda: bool(updates), "the task runs")
        await supervisor.stop()
        with pytest.raises(EngineFailure) as caught:
            await task
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.WORKER_LOST, True)


async def test_stopping_while_a_worker_loads_does_not_wait_for_it(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "loads_slowly", options={"load_s": 60})) as supervisor:
        task = asyncio.create_task(supervisor.warm())
        await eventually(lambda: supervisor.snapshot().state == "loading", "it loads")
        await supervisor.stop()
        with pytest.raises(EngineFailure) as caught:
            await task
    assert caught.value.code is ErrorCode.WORKER_LOST


async def test_a_job_that_is_cancelled_while_the_worker_loads_lets_the_worker_load_on(tmp_path: Path) -> None:
    asked: list[bool] = []
    async with supervised(make_spec(tmp_path, "loads_slowly", options={"load_s": 0.5})) as supervisor:
        request = make_request(tmp_path)

        def cancelled() -> bool:
            asked.append(supervisor.snapshot().state == "loading")
            return asked[-1]

        with pytest.raises(JobCancelled):
            await supervisor.run(request, cancelled=cancelled)
        pid = supervisor.snapshot().pid
        await supervisor.run(make_request(tmp_path))
        assert supervisor.snapshot().pid == pid


async def test_missing_heartbeats_while_loading_do_not_kill(tmp_path: Path) -> None:
    """Native code that holds the interpreter's lock silences the heartbeat for as long as it likes."""
    spec = make_spec(tmp_path, "loads_slowly", options={"load_s": 0.6, "hold_gil": True})
    async with supervised(spec) as supervisor:
        task = asyncio.create_task(supervisor.warm())
        await eventually(lambda: supervisor.snapshot().state == "loading", "it loads")
        await eventually(lambda: (supervisor.snapshot().quiet_s or 0) > 0.4, "six heartbeats are missing")
        await task
        assert supervisor.snapshot().restarts == 0


async def test_sixty_silent_seconds_do_not_kill_and_three_hundred_do(tmp_path: Path) -> None:
    clock = ManualClock()
    spec = make_spec(tmp_path, "loads_slowly", options={"load_s": 30, "hold_gil": True})
    spec = replace(spec, start_timeout_s=600.0, limits=replace(SHORT, quiet_loading_s=300.0))
    async with supervised(spec, clock=clock) as supervisor:
        task = asyncio.create_task(supervisor.warm())
        await eventually(lambda: supervisor.snapshot().state == "loading", "it loads")
        await asyncio.sleep(0.2)  # heartbeats that were under way arrive before the clock moves
        clock.advance(60.0)
        await asyncio.sleep(0.2)
        assert supervisor.snapshot().state == "loading"
        clock.advance(241.0)
        with pytest.raises(EngineFailure) as caught:
            await task
        assert caught.value.code is ErrorCode.WORKER_HUNG
