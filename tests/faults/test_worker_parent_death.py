"""No worker outlives its service, however the service goes; what its worker had started is swept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.process_tree import ProcessIdentity, sweep_orphans
from tests.fixtures.workers.harness import ROOT, is_alive

# The worker that holds the interpreter's lock would let go of it after 30 s: a worker that is gone long
# before that was ended by the kernel and not by its own reader thread.
SOON_S = 10.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux")


@contextmanager
def service(directory: Path, task: str) -> Iterator[tuple[subprocess.Popen[str], ProcessIdentity, list[int]]]:
    """A service with a running task: its process, its worker, and what the worker started."""
    argv = [sys.executable, "-m", "tests.fixtures.workers.mortal_service", str(directory), task]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield process, ProcessIdentity(**told["worker"]), told["started"]
        finally:
            process.kill()


def wait_until_gone(pid: int) -> bool:
    give_up_at = time.monotonic() + SOON_S
    while is_alive(pid) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return not is_alive(pid)


def test_a_worker_deep_in_native_code_dies_with_its_killed_service(tmp_path: Path) -> None:
    with service(tmp_path, "holds_the_gil") as (process, worker, _):
        assert is_alive(worker.pid)
        process.kill()
        process.wait()
        assert wait_until_gone(worker.pid)


def test_what_a_worker_started_is_swept_at_the_next_start_of_the_service(tmp_path: Path) -> None:
    with service(tmp_path, "ignores_everything") as (process, worker, started):
        process.kill()
        process.wait()
        assert wait_until_gone(worker.pid)
        assert len(started) == 2
        assert all(map(is_alive, started))
        assert set(started) <= set(sweep_orphans([worker]))
        assert not any(map(is_alive, started))


def test_the_sweep_kills_a_living_worker_only_when_everything_matches(tmp_path: Path) -> None:
    with service(tmp_path, "holds_the_gil") as (process, worker, _):
        stranger = replace(worker, worker_id="fixture-00000000")
        assert sweep_orphans([replace(stranger, started="00000000:1")]) == []
        assert sweep_orphans([replace(stranger, command="python something_else.py")]) == []
        assert sweep_orphans([replace(stranger, pid=os.getpid())]) == []
        assert is_alive(worker.pid)
        assert worker.pid in sweep_orphans([stranger])
        assert wait_until_gone(worker.pid)
        process.kill()
