"""kill -9 at any moment: no acknowledged job is lost, none is done twice, the database stays whole."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.models.codes import JobState
from backend.storage.sweep import sweep_orphans
from tests.unit.storage.kit import enqueue, open_test_store

ROOT = Path(__file__).parents[2]
# Short form; the long form of hundreds of kills is a later battery.
ROUNDS = 4


def spawn(mode: str, folder: Path, argument: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.store_child", mode, str(folder), argument],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after_lines(child: subprocess.Popen[str], lines: int, delay_s: float) -> list[str]:
    """Read `lines` acknowledgements, wait a moment, kill -9; returns all acknowledgements made."""
    assert child.stdout is not None
    seen = [child.stdout.readline().strip() for _ in range(lines)]
    time.sleep(delay_s)
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=30)
    # The last line may be cut by the kill.
    whole = rest.splitlines() if rest.endswith("\n") else rest.splitlines()[:-1]
    return [line for line in [*seen, *whole] if line]


def integrity(folder: Path) -> str:
    connection = sqlite3.connect(folder / "data" / "sqlite.db")
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


async def test_every_job_acknowledged_before_a_kill_exists_after_it(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        child = spawn("enqueue", tmp_path)
        acknowledged += kill_after_lines(child, 20, random.Random(number).uniform(0, 0.1))  # noqa: S311
        assert integrity(tmp_path) == "ok"
    assert len(set(acknowledged)) == len(acknowledged) >= 20 * ROUNDS
    store = await open_test_store(tmp_path, max_queued=10**6)
    try:
        stored = set(await store.jobs.queue_positions())
        assert set(acknowledged) <= stored
        for job_id in acknowledged[:: len(acknowledged) // 10]:
            view = await store.jobs.get_view(job_id)
            assert len(view.stages) == 4
            assert [event.type.value for event in await store.jobs.events_since(0, job_id=job_id)] == [
                "queued"
            ]
    finally:
        await store.close()


async def test_jobs_killed_in_mid_work_go_on_and_each_ends_exactly_once(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    jobs = [(await enqueue(store)).job_id for _ in range(40)]
    await store.close()
    finished: list[str] = []
    for number in range(50):
        child = spawn("work", tmp_path, f"boot-{number}")
        if number < ROUNDS:
            finished += kill_after_lines(child, 3 + number, random.Random(number).uniform(0, 0.02))  # noqa: S311
        else:
            output, _ = child.communicate(timeout=60)
            assert child.returncode == 0
            finished += output.split()
            break
        assert integrity(tmp_path) == "ok"
    done = [line for line in finished if line.startswith("job_")]
    assert len(done) == len(set(done)), "no job is finished twice"
    store = await open_test_store(tmp_path)
    try:
        for job_id in jobs:
            view = await store.jobs.get_view(job_id)
            assert view.job.state is JobState.SUCCEEDED
            assert view.job.lost_attempts <= 2
            assert view.job.attempt == 1 + view.job.lost_attempts
            ends = [event for event in await store.jobs.events_since(0, job_id=job_id) if event.is_terminal]
            assert len(ends) == 1
            for artifact in view.artifacts:
                path = store.blobs.path_of(artifact.file.rel_path)
                assert path.stat().st_size == artifact.file.size_bytes
        await sweep_orphans(store.files, store.blobs, now_s=time.time() + 10**6)
        on_disk = {
            path.relative_to(tmp_path / "data").as_posix()
            for path in (tmp_path / "data/outputs").rglob("*.*")
        }
        assert await store.files.known_paths(on_disk) == on_disk
        assert len(on_disk) == 4 * len(jobs)
    finally:
        await store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    first = spawn("lock", tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == "locked\n"
    first.kill()
    first.communicate(timeout=30)
    second = spawn("lock", tmp_path)
    output, _ = second.communicate("\n", timeout=30)
    assert output == "locked\n"
    assert second.returncode == 0
