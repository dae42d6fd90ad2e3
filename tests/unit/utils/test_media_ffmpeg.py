"""One run of ffmpeg: its bounds, its end, and what is left of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.media.ffmpeg import STDERR_LINE_CHARS, STDERR_TAIL_LINES, Ffmpeg
from tests.media_samples import FFMPEG

ENDLESS = ("-re", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25", "-progress", "pipe:1", "-f", "null", "-")


def _script(folder: Path, body: str) -> Ffmpeg:
    """A stand-in binary: a Python program that behaves badly."""
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return Ffmpeg(program)


def test_lines_of_stdout_reach_the_caller_while_it_runs() -> None:
    seen = threading.Event()

    def look(line: str) -> None:
        if line.startswith("frame="):
            seen.set()

    with pytest.raises(JobCancelled):
        FFMPEG.run(ENDLESS, deadline_s=30, on_line=look, cancelled=seen.is_set)
    assert seen.is_set()


def test_a_cancel_before_the_start_starts_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    with pytest.raises(JobCancelled):
        _script(tmp_path, f"open({str(marker)!r}, 'w')").run([], deadline_s=5, cancelled=lambda: True)
    assert not marker.exists()


def test_a_deaf_program_and_its_child_are_killed_at_the_deadline(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    deaf = _script(
        tmp_path,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild = os.fork()\n"
        f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(60)",
    )
    with pytest.raises(EngineFailure) as caught:
        deaf.run([], deadline_s=1.5)
    assert caught.value.code is ErrorCode.TIMEOUT
    started = [int(line) for line in pids.read_text().split()]
    assert len(started) == 2
    ends_at = time.monotonic() + 10  # the grandchild is reaped by somebody else, in their time
    while any(map(_is_alive, started)) and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert [pid for pid in started if _is_alive(pid)] == []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_a_flood_of_messages_is_kept_as_a_bounded_tail(tmp_path: Path) -> None:
    noisy = _script(tmp_path, "sys.stderr.write(('x' * 5000 + '\\n') * 500 + 'the end\\n'); sys.exit(3)")
    done = noisy.run([], deadline_s=20)
    assert done.returncode == 3
    assert done.stderr_tail.endswith("the end")
    assert len(done.stderr_tail) <= STDERR_TAIL_LINES * (STDERR_LINE_CHARS + 1)


def test_a_failure_says_what_could_not_be_done_and_names_no_path(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure) as caught:
        FFMPEG.run_checked(["-i", str(tmp_path / "absent.mp4")], purpose="join things", deadline_s=10)
    assert caught.value.code is ErrorCode.NO_OUTPUT
    assert caught.value.detail == "ffmpeg could not join things."
    assert "absent.mp4" in caught.value.log_tail


def test_a_full_disk_has_its_own_code(tmp_path: Path) -> None:
    full = _script(tmp_path, "sys.stderr.write('out.mp4: No space left on device\\n'); sys.exit(228)")
    with pytest.raises(EngineFailure) as caught:
        full.run_checked([], purpose="write", deadline_s=10)
    assert caught.value.code is ErrorCode.DISK_FULL


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_the_real_ffmpeg_on_a_full_disk_has_that_code_too() -> None:
    arguments = ["-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=1", "-f", "rawvideo", "file:/dev/full"]
    with pytest.raises(EngineFailure) as caught:
        FFMPEG.run_checked(arguments, purpose="write", deadline_s=10)
    assert caught.value.code is ErrorCode.DISK_FULL


def test_a_missing_binary_is_a_clear_failure(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure) as caught:
        Ffmpeg(tmp_path / "nowhere").run([], deadline_s=5)
    assert caught.value.code is ErrorCode.ENGINE_UNAVAILABLE
    assert caught.value.hint


def test_it_reads_nothing_from_the_service_s_own_input(tmp_path: Path) -> None:
    curious = _script(tmp_path, "sys.exit(0 if sys.stdin.read() == '' else 9)")
    assert curious.run([], deadline_s=10).returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="limits of this kind exist on Linux only")
def test_cpu_time_and_address_space_are_limited(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits cannot be set from outside here")
    greedy = _script(
        tmp_path,
        "import resource\ntime.sleep(0.5)\n"
        "finite = [resource.getrlimit(which)[0] != resource.RLIM_INFINITY\n"
        "          for which in (resource.RLIMIT_CPU, resource.RLIMIT_AS)]\n"
        "sys.exit(0 if all(finite) else 1)",
    )
    assert greedy.run([], deadline_s=10).returncode == 0
