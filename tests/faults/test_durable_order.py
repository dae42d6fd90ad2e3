"""Before anything is promised it is on the disk, in the order that a power cut cannot turn round.

A power cut itself is not tested: what is tested is the order of the calls that ask the disk to keep things.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.studio import ROOT
from tests.support.studio import running_studio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be synced on Windows")


class Disk:
    """What was asked of the disk, in order: ("sync", inode), ("folder", path), ("name", path), ("row", path)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.inodes: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, kind: str, what: Any) -> None:
        with self._lock:
            self.calls.append((kind, what))

    def first(self, kind: str, what: Any, after: int = 0) -> int:
        """Where this call stands; fails when it never came."""
        for index, call in enumerate(self.calls[after:], start=after):
            if call == (kind, what):
                return index
        raise AssertionError(f"never after {after}: {kind} {what}")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    fsync, replace, connect = os.fsync, Path.replace, sqlite3.connect

    def watched_fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink() if sys.platform == "linux" else None
        fsync(descriptor)
        if path is not None and path.is_dir():
            disk.note("folder", str(path))
        else:
            disk.note("sync", os.fstat(descriptor).st_ino)

    def watched_replace(self: Path, target: Path) -> Path:
        inode = self.stat().st_ino
        moved = replace(self, target)
        disk.inodes[str(target)] = inode
        disk.note("name", str(target))
        return moved

    def watched_connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(
            lambda sql: disk.note("row", sql) if "INSERT INTO files" in sql else None
        )
        return connection

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    monkeypatch.setattr(sqlite3, "connect", watched_connect)
    yield disk


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are named in /proc")
async def test_each_file_of_a_job_is_synced_then_named_then_its_folder_synced_then_its_row_written(
    tmp_path: Path, disk: Disk
) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        assert (await studio.wait_for(job_id))["status"] == "completed"
        folder = studio.settings.outputs_dir / job_id
        names = sorted(path.name for path in folder.iterdir())
    assert {"audio.wav", "silent.mp4", "video.mp4", "script.json"} <= set(names)
    parent = disk.first("folder", str(folder.parent))
    for name in names:
        path = str(folder / name)
        named = disk.first("name", path)
        synced = disk.first("sync", disk.inodes[path])
        in_folder = disk.first("folder", str(folder), after=named)
        row = next(index for index in range(named, len(disk.calls)) if disk.calls[index][0] == "row")
        assert synced < named < in_folder < row, f"{name}: {disk.calls}"
        assert parent < named, "the job's folder was durable before anything was put into it"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to see what SQLite asks of the disk")
def test_a_job_is_answered_only_after_its_commit_was_synced(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    argv = ["strace", "-f", "-y", "-s", "40", "-e", "trace=fdatasync,fsync,write", "-o", str(trace)]
    argv += [sys.executable, "-m", "tests.faults.store_child", "enqueue_few", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    if "ptrace" in done.stderr and done.returncode != 0:
        pytest.skip("this system does not let strace attach")
    assert done.returncode == 0, done.stderr
    jobs = done.stdout.split()
    synced, answered = False, []
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        if "sync(" in line and "sqlite.db-wal" in line:
            synced = True
        elif "write(1<" in line and '"job_' in line:
            assert synced, f"answered before its commit was on the disk: {line}"
            answered.append(line)
            synced = False
    assert len(answered) == len(jobs) > 1
