"""The whole service is killed while its engine is at work: no engine outlives it, and what an engine had
started is ended by the next start."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.engines.process_tree import command_of, start_token
from tests.e2e.studio import ROOT
from tests.faults.lives import Life, audit_of, life
from tests.fixtures.workers.harness import is_alive
from tests.support.studio import running_studio

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux")

# The worker would hold the interpreter's lock for 60 s: gone before that means the kernel ended it.
SOON_S = 2.0


def gone(pid: int) -> bool:
    give_up_at = time.monotonic() + SOON_S
    while is_alive(pid) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return not is_alive(pid)


def workers_of(alive: Life) -> list[int]:
    """Pids of worker hosts below this life."""
    children = psutil.Process(alive.process.pid).children(recursive=True)
    return [child.pid for child in children if any("host.py" in part for part in child.cmdline())]


def test_an_engine_deep_in_native_code_dies_with_its_service_and_the_job_is_counted_as_lost(
    tmp_path: Path,
) -> None:
    with life(tmp_path, "--engine", "unruly:holds_the_gil") as first:
        job_id = first.submit(preferred_engine="fixture")
        assert job_id is not None
        # The engine's own word that it is in native code now: the video begins at 25 %.
        first.until(lambda: first.view(job_id)["progress"] > 25, "the engine at work")
        workers = workers_of(first)
        assert workers
        first.kill()
        assert all(map(gone, workers))
    with life(tmp_path, "--engine", "unruly:behave") as second:
        view = second.end_of(job_id)
        hops = [hop["outcome"] for hop in view["attempts"] if hop["stage"] == "video"]
        assert hops[0] == "lost"
        events = sqlite3.connect(tmp_path / "data" / "sqlite.db")
        try:
            told = [row[0] for row in events.execute("SELECT type FROM job_events WHERE type = 'lost'")]
            attempts = events.execute("SELECT attempt, lost_attempts FROM jobs").fetchone()
        finally:
            events.close()
        assert told == ["lost"], "re-queued, not cancelled"
        assert attempts == (2, 1)
    assert audit_of(tmp_path, job_id).losses == 1


def killed_service(folder: Path) -> dict[str, Any]:
    """Start a small service whose worker starts daemons, kill it; returns what it told."""
    argv = [sys.executable, "-m", "tests.fixtures.workers.mortal_service", str(folder), "ignores_everything"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        told: dict[str, Any] = json.loads(service.stdout.readline())
        service.kill()
    return told


async def test_what_a_killed_service_left_behind_is_ended_before_the_next_one_takes_jobs(
    tmp_path: Path,
) -> None:
    """A daemon of an engine, deaf to SIGTERM, in a session of its own, and the row that the dead service wrote."""
    told = await asyncio.to_thread(killed_service, tmp_path / "engine")
    assert gone(told["worker"]["pid"])
    daemons: list[int] = told["started"]
    assert all(map(is_alive, daemons))
    async with running_studio(tmp_path):
        pass
    note_worker(tmp_path, told["worker"])
    left = tmp_path / "data" / "work" / "job_abcdefgh" / "video-1"
    left.mkdir(parents=True)
    async with running_studio(tmp_path) as studio:
        assert not any(map(is_alive, daemons))
        assert not left.exists(), "its folder was emptied after it could write no more"
        assert studio.settings.work_dir.is_dir()
    rows = sqlite3.connect(tmp_path / "data" / "sqlite.db")
    try:
        assert rows.execute("SELECT count(*) FROM workers").fetchone() == (0,)
    finally:
        rows.close()


async def test_a_process_that_only_has_the_pid_of_a_dead_worker_is_left_alone(tmp_path: Path) -> None:
    async with running_studio(tmp_path):
        pass
    argv = [sys.executable, "-c", "input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as innocent:  # noqa: ASYNC220 - only started
        token = start_token(innocent.pid)
        assert token is not None
        identity = {"worker_id": "draft-00000000", "pid": innocent.pid, "command": "python host.py"}
        note_worker(tmp_path, {**identity, "started": token})
        async with running_studio(tmp_path):
            assert is_alive(innocent.pid)
            assert command_of(innocent.pid) != identity["command"]
        innocent.kill()


def note_worker(folder: Path, worker: dict[str, Any]) -> None:
    """The row of a worker as a service writes it at the spawn."""
    rows = sqlite3.connect(folder / "data" / "sqlite.db")
    try:
        rows.execute(
            "INSERT INTO workers (worker_id, boot_id, engine, pid, pid_started, command, started_at)"
            " VALUES (:worker_id, 'boot-dead', 'draft', :pid, :started, :command, 0)",
            worker,
        )
        rows.commit()
    finally:
        rows.close()


_RUNS_FFMPEG = """
import sys
from backend.utils.media.ffmpeg import Ffmpeg, locate_ffmpeg
print("begins", flush=True)
Ffmpeg(locate_ffmpeg()).run(
    ["-re", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-f", "null", "-"], deadline_s=60
)
"""


def is_ffmpeg(process: psutil.Process) -> bool:
    """Not the helper that becomes ffmpeg, but ffmpeg itself."""
    try:
        return "testsrc" in " ".join(process.cmdline()) and "python" not in process.name()
    except psutil.Error:
        return False  # it ended while it was looked at


def test_ffmpeg_dies_with_the_service_that_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", _RUNS_FFMPEG], cwd=ROOT, stdout=subprocess.PIPE) as service:
        give_up_at = time.monotonic() + SOON_S
        children: list[psutil.Process] = []
        while not children and time.monotonic() < give_up_at:
            children = [child for child in psutil.Process(service.pid).children() if is_ffmpeg(child)]
            time.sleep(0.01)
        assert children
        service.kill()
        assert all(gone(child.pid) for child in children)
