"""Processes: identity, waiting without losing the group, killing everything."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.engines import process_tree
from backend.engines.process_tree import ProcessTree, command_of, oom_kills, spawn, start_token
from tests.fixtures.workers.harness import is_alive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

FAMILY = """
import subprocess, sys
sleeper = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
child = subprocess.Popen(sleeper)
daemon = subprocess.Popen(sleeper, start_new_session=True)
print(child.pid, daemon.pid, flush=True)
sys.stdin.readline()
"""


def started(code: str, tmp_path: Path) -> ProcessTree:
    argv = [sys.executable, "-c", code]
    return spawn(argv, env={"PATH": os.defpath}, cwd=tmp_path, worker_id="fixture-1")


def closed(tree: ProcessTree) -> None:
    for stream in (tree.stdin, tree.stdout, tree.stderr):
        stream.close()


def test_a_process_is_named_by_pid_start_and_command(tmp_path: Path) -> None:
    tree, other = (started("print(1, flush=True); input()", tmp_path) for _ in range(2))
    try:
        assert tree.stdout.readline() == b"1\n"  # the new program has begun: its arguments can be read
        assert start_token(tree.identity.pid) == tree.identity.started != ""
        assert command_of(tree.identity.pid) == tree.identity.command
        assert tree.identity.pid != other.identity.pid
    finally:
        for each in (tree, other):
            each.kill()
            assert each.wait() == -9
            closed(each)
    assert start_token(tree.identity.pid) is None
    assert command_of(tree.identity.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the marker is read from /proc")
@pytest.mark.parametrize("way", ["exits", "is killed"])
def test_the_end_of_a_worker_is_the_end_of_all_it_started(tmp_path: Path, way: str) -> None:
    tree = started(FAMILY, tmp_path)
    try:
        child, daemon = map(int, tree.stdout.readline().split())
        give_up_at = time.monotonic() + 10.0
        # A program that is just being started shows no environment yet.
        while set(tree.leftovers()) != {child, daemon}:
            assert time.monotonic() < give_up_at, tree.leftovers()
            time.sleep(0.01)
        if way == "exits":
            tree.stdin.write(b"go\n")
        else:
            tree.kill()
    except BaseException:
        tree.kill()
        raise
    finally:
        status = tree.wait()
        closed(tree)
    assert status == (0 if way == "exits" else -9)
    assert not is_alive(child)
    assert not is_alive(daemon)
    assert tree.leftovers() == []


def test_signals_after_the_end_hit_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = started("pass", tmp_path)
    assert tree.wait() == 0
    hit: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: hit.append(group))
    tree.terminate()
    tree.kill()
    assert hit == []
    closed(tree)


def test_a_worker_gets_no_descriptor_of_the_service_but_its_pipes(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        tree = started(f"import os; print(os.path.exists('/dev/fd/{writer}'))", tmp_path)
        assert tree.stdout.readline() == b"False\n"
        tree.wait()
        closed(tree)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn([str(tmp_path / "nothing")], env={}, cwd=tmp_path, worker_id="fixture-1")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/vmstat")
def test_the_out_of_memory_counter_is_read_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    count = oom_kills()
    assert count is None or count >= 0
    monkeypatch.setattr(Path, "read_text", lambda *a, **k: "nr_free_pages 1\noom_kill 3\noom_killer 9\n")
    assert oom_kills() == 3


def test_a_process_that_is_nobodys_worker_is_not_swept(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        identity = process_tree.ProcessIdentity("fixture-2", bystander.pid, "00000000:1", "python x")
        assert process_tree.sweep_orphans([identity]) == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()
