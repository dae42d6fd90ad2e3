"""The host as a program of its own: any Python from 3.10 on, isolated too, driven over bare pipes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.engines.protocol import Encoder
from tests.fixtures.workers.harness import HOST

HOME_PYTHONS = Path.home() / ".pyenv" / "versions"


def interpreters() -> list[str]:
    """The running interpreter and every other from 3.10 on that this machine has."""
    found = {str(path) for path in HOME_PYTHONS.glob("3.1[0-9].*/bin/python")}
    for minor in range(10, 15):
        path = shutil.which(f"python3.{minor}", path="/usr/local/bin:/usr/bin")
        if path is not None:
            found.add(path)
    return [sys.executable, *sorted(found)]


class Wire:
    """Speaks with a host over its pipes."""

    def __init__(self, process: subprocess.Popen[bytes], tmp_path: Path) -> None:
        self.process = process
        self.tmp_path = tmp_path
        self._encoder = Encoder()

    def say(self, kind: str, **fields: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(self._encoder.encode(kind, fields))
        self.process.stdin.flush()

    def say_raw(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def init(self, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "protocol": 1,
            "worker_id": "fixture-1",
            "parent_pid": os.getpid(),
            "engine": "fixture",
            "engine_root": None,
            "device": None,
            "dirs": {name: str(self.tmp_path / name) for name in ("work", "models", "cache")},
            "heartbeat_s": 0.1,
            "options": {"threads": 1},
        }
        self.say("init", **{**fields, **changes})

    def run(self, task: str = "echo", attempt: int = 1, **params: Any) -> None:
        self.say(
            "run",
            job_id="job_abcdefgh",
            attempt=attempt,
            task=task,
            model=None,
            inputs={},
            params=params,
            output_dir=str(self.tmp_path),
            seed=0,
            deadline_s=10.0,
        )

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def hear_until(self, kind: str) -> list[dict[str, Any]]:
        heard = [self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(self.hear())
        return heard


@contextmanager
def host(
    tmp_path: Path, handler: str = "steady", python: str = sys.executable, flags: tuple[str, ...] = ()
) -> Iterator[Wire]:
    argv = [python, *flags, "-X", "utf8", "-u", str(HOST), "--handler", f"tests.fixtures.workers.{handler}"]
    pipe = subprocess.PIPE
    env = {"PATH": "/usr/bin:/bin"}
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=tmp_path) as process:
        try:
            yield Wire(process, tmp_path)
        finally:
            process.kill()


@pytest.mark.parametrize("flags", [(), ("-I",)], ids=["plain", "isolated"])
@pytest.mark.parametrize("python", interpreters())
def test_the_host_serves_in_every_python_that_is_here(
    tmp_path: Path, python: str, flags: tuple[str, ...]
) -> None:
    with host(tmp_path, python=python, flags=flags) as wire:
        wire.init()
        start = wire.hear_until("ready")
        assert [message["type"] for message in start if message["type"] != "heartbeat"] == [
            "hello",
            "state",
            "state",
            "ready",
        ]
        assert start[-1]["engine_version"] == "1.0"
        assert start[-1]["data"] == {"threads": 1}
        wire.run("echo", n=1)
        task = [message for message in wire.hear_until("result") if message["type"] != "heartbeat"]
        assert [message["type"] for message in task] == ["accepted", "state", "result"]
        assert task[-1]["ok"]
        assert task[-1]["data"]["params"] == {"n": 1}
        wire.say("shutdown", grace_s=1.0)
        assert wire.hear_until("bye")[-1]["reason"] == "shutdown"
        assert wire.process.wait(timeout=10) == 0


def test_hello_comes_before_the_handler_is_imported(tmp_path: Path) -> None:
    with host(tmp_path, "fails_at_import") as wire:
        wire.init()
        assert wire.hear()["type"] == "hello"
        fatal = wire.hear_until("fatal")[-1]
        assert fatal["code"] == "import_failed"
        assert "a_package_that_nobody_has_installed" in fatal["detail"]
        assert wire.process.wait(timeout=10) == 65


def test_a_ping_is_answered_while_a_task_runs_and_heartbeats_go_on(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        wire.run("steps", steps=10_000, pause_s=0.02)
        wire.hear_until("progress")
        wire.say("ping", nonce="n1")
        assert wire.hear_until("pong")[-1]["nonce"] == "n1"
        beat = wire.hear_until("heartbeat")[-1]
        # On a busy machine one beat may have been taken before the task and sent after its first step.
        if beat["state"] != "running":
            beat = wire.hear_until("heartbeat")[-1]
        assert (beat["state"], beat["job_id"]) == ("running", "job_abcdefgh")
        assert sys.platform != "linux" or beat["rss_mib"] > 1


def test_unload_reaches_the_handler_and_the_worker_serves_on(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        wire.say("unload")
        wire.run("echo")
        assert wire.hear_until("result")[-1]["data"]["unloads"] == 1


def test_a_shutdown_does_not_wait_for_a_running_task(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        wire.run("steps", steps=10_000, pause_s=0.02)
        wire.hear_until("accepted")
        wire.say("shutdown", grace_s=1.0)
        wire.hear_until("bye")
        assert wire.process.wait(timeout=10) == 0


def test_end_of_file_ends_the_worker_at_once_also_in_mid_task(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        wire.run("steps", steps=10_000, pause_s=0.02)
        wire.hear_until("accepted")
        assert wire.process.stdin is not None
        wire.process.stdin.close()
        assert wire.process.wait(timeout=10) == 71


def test_a_worker_whose_parent_is_not_the_announced_one_does_not_start(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init(parent_pid=1)
        assert wire.process.wait(timeout=10) == 71


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"[]\n",
        b'{"v":1,"seq":0,"type":"run"}\n',
        b'{"v":2,"seq":0,"type":"init"}\n',
        b'{"v":1,"seq":9,"type":"ping","nonce":"x"}\n',
        b'{"v":1,"seq":0,"type":"ping","nonce":"x"}\n',
        b"[" * 100_000 + b"\n",
        b"z" * (1024 * 1024 + 2) + b"\n",
    ],
    ids=["garbage", "list", "fields missing", "version", "number", "no init", "nested", "too long"],
)
def test_a_first_line_that_is_no_init_is_fatal(tmp_path: Path, line: bytes) -> None:
    with host(tmp_path) as wire:
        wire.say_raw(line)
        assert wire.hear_until("fatal")[-1]["code"] == "protocol_mismatch"
        assert wire.process.wait(timeout=10) == 64


def test_a_second_task_while_one_runs_is_a_broken_protocol(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        wire.run("steps", steps=10_000, pause_s=0.02)
        wire.run("echo", attempt=2)
        assert wire.hear_until("fatal")[-1]["code"] == "protocol_mismatch"
        assert wire.process.wait(timeout=10) == 64


def test_a_cancel_that_follows_its_task_at_once_finds_it(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        for attempt in range(1, 20):
            wire.run("steps", attempt=attempt, steps=10_000, pause_s=0.02)
            wire.say("cancel", job_id="job_abcdefgh", attempt=attempt, reason="user")
            result = wire.hear_until("result")[-1]
            assert (result["ok"], result["error"]["code"]) == (False, "cancelled")


def test_the_result_names_a_mark_that_stands_in_the_log_after_all_that_was_printed(tmp_path: Path) -> None:
    with host(tmp_path) as wire:
        wire.init()
        wire.hear_until("ready")
        wire.run("write")
        result = wire.hear_until("result")[-1]
        wire.process.kill()
        assert wire.process.stderr is not None
        log = wire.process.stderr.read().decode()
    assert re.search(rf"printed before the end\n+@drain:{result['drain']}\n", log)


def test_a_library_in_the_workers_folder_does_not_shadow_one_of_the_engines(tmp_path: Path) -> None:
    with host(tmp_path, "tells_path") as wire:
        wire.init(engine_root=str(tmp_path))
        path = wire.hear_until("ready")[-1]["data"]["path"]
    assert path[:2] == [str(HOST.parents[1]), str(tmp_path)]
    assert str(HOST.parent) not in path
