"""A real worker process under a real supervisor: start, tasks, progress, cancel, idle, replacement."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backend.engines.process_tree import ProcessIdentity
from backend.engines.supervisor import ProgressUpdate, WorkerSpec, WorkerSupervisor
from backend.models.errors import JobCancelled
from backend.utils.clock import SystemClock
from tests.fixtures.workers.harness import LOG, make_request, make_spec


class Witness:
    """Notes which processes came and went."""

    def __init__(self) -> None:
        self.spawned: list[ProcessIdentity] = []
        self.died: list[tuple[ProcessIdentity, int | None]] = []

    def worker_spawned(self, identity: ProcessIdentity) -> None:
        self.spawned.append(identity)

    def worker_died(self, identity: ProcessIdentity, exit_code: int | None) -> None:
        self.died.append((identity, exit_code))


@asynccontextmanager
async def running(spec: WorkerSpec, witness: Witness | None = None) -> AsyncIterator[WorkerSupervisor]:
    supervisor = WorkerSupervisor(spec, log=LOG, clock=SystemClock(), observer=witness)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        assert supervisor.snapshot().pid is None


async def test_start_spawns_nothing_and_warm_spawns_one_process(tmp_path: Path) -> None:
    witness = Witness()
    async with running(make_spec(tmp_path, options={"threads": 2}), witness) as supervisor:
        await asyncio.sleep(0.05)
        assert witness.spawned == []
        await supervisor.warm()
        await supervisor.warm()
        snapshot = supervisor.snapshot()
        assert snapshot.state == "idle"
        assert snapshot.ready["engine_version"] == "1.0"
        assert snapshot.ready["threads"] == 2
        assert [identity.pid for identity in witness.spawned] == [snapshot.pid]
    assert [(identity.pid, code) for identity, code in witness.died] == [(witness.spawned[0].pid, 0)]


async def test_a_task_gets_its_inputs_and_its_data_and_files_come_back(tmp_path: Path) -> None:
    updates: list[ProgressUpdate] = []
    async with running(make_spec(tmp_path)) as supervisor:
        request = make_request(tmp_path, "echo", inputs={"a": tmp_path / "x y.png"}, seed=7, model="small")
        echo = await supervisor.run(request)
        assert echo.data["inputs"] == {"a": str(tmp_path / "x y.png")}
        assert (echo.data["seed"], echo.data["model"]) == (7, "small")

        request = make_request(tmp_path, "write")
        result = await supervisor.run(request, report=updates.append)
    assert result.data == {"frames": 38}
    (artifact,) = result.artifacts
    content = artifact.path.read_bytes()
    assert artifact.path.is_relative_to(request.output_dir.resolve())
    assert (artifact.bytes, artifact.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (artifact.role, artifact.width, artifact.duration_s) == ("video", 64, 1.5)
    assert [update.fraction for update in updates] == [0.5, 1.0]
    assert result.metrics["run_s"] >= 0


async def test_a_task_stops_within_a_second_of_its_cancel_and_the_worker_stays(tmp_path: Path) -> None:
    async with running(make_spec(tmp_path)) as supervisor:
        await supervisor.warm()
        pid = supervisor.snapshot().pid
        updates: list[ProgressUpdate] = []
        request = make_request(tmp_path, "steps", params={"steps": 1000, "pause_s": 0.05})
        with pytest.raises(JobCancelled):
            await supervisor.run(request, report=updates.append, cancelled=lambda: bool(updates))
        again = await supervisor.run(make_request(tmp_path, "echo", params={"n": 1}))
        assert again.data["params"] == {"n": 1}
        assert supervisor.snapshot().pid == pid
