"""The service is killed with SIGKILL in the middle of a real job and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.studio import ROOT, free_port, provide_models

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = "This sentence is long enough to be rendered for a while, so that the server can die in it. " * 6
WAIT_S = 120.0


class Server:
    """One boot of the real service."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        env = {
            **os.environ,
            "DATA_DIR": str(folder / "data"),
            "LOGS_DIR": str(folder / "logs"),
            "PORT": str(self.port),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "backend.main:app", "--port", str(self.port)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.until(lambda: self.ask("/health") is not None)

    def ask(self, path: str) -> Any:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5, trust_env=False).json()
        except httpx.TransportError:
            return None

    def submit(self) -> str:
        body = {
            "voice_id": "voice_builtinafheart",
            "avatar_url": "avatar_builtinaria",
            "script_input": SCRIPT,
        }
        answer = httpx.post(f"http://127.0.0.1:{self.port}/api/jobs", json=body, timeout=10, trust_env=False)
        assert answer.status_code == 202
        return str(answer.json()["job_id"])

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            assert self.process.poll() is None, "the service ended by itself"
            time.sleep(0.05)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def test_a_job_killed_in_mid_video_goes_on_from_its_speech_and_leaves_no_orphan(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    provide_models(tmp_path / "data" / "models")
    server = Server(tmp_path)
    job_id = server.submit()
    server.until(lambda: server.ask(f"/api/jobs/{job_id}")["stage"] == "video")
    server.until(lambda: server.ask(f"/api/jobs/{job_id}")["progress"] > 30)
    audio = tmp_path / "data" / "outputs" / job_id / "audio.wav"
    spoken_at = audio.stat().st_mtime_ns
    children = server.children()
    assert children, "the engines run in processes of their own"
    server.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == [], "no engine outlives the service"

    server = Server(tmp_path)
    try:
        server.until(lambda: server.ask(f"/api/jobs/{job_id}")["status"] in {"completed", "failed"})
        view = server.ask(f"/api/jobs/{job_id}")
        assert view["status"] == "completed", view
        hops = [(hop["stage"], hop["outcome"]) for hop in view["attempts"]]
        assert hops == [("speech", "succeeded"), ("video", "lost"), ("video", "succeeded")]
        assert audio.stat().st_mtime_ns == spoken_at, "the finished speech is not made again"
        assert not list((tmp_path / "data" / "work").iterdir()), "no attempt's folder is left"
    finally:
        server.stop()


def test_a_second_service_on_the_same_data_says_why_it_does_not_start(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        second = subprocess.run(
            [sys.executable, "-m", "uvicorn", "backend.main:app", "--port", str(free_port())],
            cwd=ROOT,
            env={**os.environ, "DATA_DIR": str(tmp_path / "data"), "LOGS_DIR": str(tmp_path / "logs")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode != 0
        assert "Another instance" in second.stderr
    finally:
        server.stop()
