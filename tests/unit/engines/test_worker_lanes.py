"""A person's short task does not wait behind a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backend.engines.worker_lanes import WorkerLanes
from backend.engines.worker_types import TaskRequest, WorkerSnapshot
from tests.support.twin_worker import TwinWorker


class Busy(TwinWorker):
    """A twin that says which job it works on."""

    job_id: str | None = None

    def snapshot(self) -> WorkerSnapshot:
        return replace(super().snapshot(), job_id=self.job_id)


def request(job_id: str, folder: Path) -> TaskRequest:
    return TaskRequest(job_id, 1, "voice_enrol", {}, {}, folder, 10.0)


async def served_by(lanes: WorkerLanes, main: Busy, job_id: str, folder: Path) -> str:
    before = len(main.seen)
    await lanes.run(request(job_id, folder), report=None, cancelled=lambda: False)
    return "main" if len(main.seen) > before else "spare"


async def test_a_short_task_takes_the_spare_process_only_while_a_job_runs(tmp_path: Path) -> None:
    main, spare = Busy("main"), Busy("spare")
    lanes = WorkerLanes(main, spare)
    assert await served_by(lanes, main, "voice_abcdefgh", tmp_path) == "main"
    main.job_id = "job_abcdefgh"
    assert await served_by(lanes, main, "voice_abcdefgh", tmp_path) == "spare"
    assert await served_by(lanes, main, "job_ijklmnop", tmp_path) == "main", "jobs keep their turn"


async def test_what_nobody_waits_for_keeps_away_from_the_first_process(tmp_path: Path) -> None:
    main, spare = Busy("main"), Busy("spare")
    lanes = WorkerLanes(main, spare)
    task = replace(request("file_abcdefgh", tmp_path), is_background=True)
    await lanes.run(task, report=None, cancelled=lambda: False)
    assert (len(main.seen), len(spare.seen)) == (0, 1)


async def test_both_processes_stop_with_the_service(tmp_path: Path) -> None:
    main, spare = Busy("main"), Busy("spare")
    lanes = WorkerLanes(main, spare)
    await lanes.start()
    await lanes.warm()
    await lanes.stop()
    assert (main.stopped, spare.stopped, main.warmed, spare.warmed) == (1, 1, 1, 0)


async def test_both_processes_are_forgiven() -> None:
    class Resting(Busy):
        forgiven = 0

        def forgive(self) -> None:
            self.forgiven += 1

    main, spare = Resting("main"), Resting("spare")
    WorkerLanes(main, spare).forgive()
    assert (main.forgiven, spare.forgiven) == (1, 1)
    WorkerLanes(Busy("main"), Busy("spare")).forgive()  # one that cannot rest needs no forgiving
