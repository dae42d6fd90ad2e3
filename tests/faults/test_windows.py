"""What only Windows can show. Skipped elsewhere; `python -m pytest -m windows tests/faults` on Windows runs it.

Not tested on Windows so far: these tests were written from documentation and never ran.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from backend.storage.blobs import replace_durably
from tests.e2e.studio import ROOT, free_port

pytestmark = [
    pytest.mark.windows,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.platform != "win32",
        reason="needs Windows 10 or newer with Python 3.10+: run `python -m pytest -m windows tests/faults` there",
    ),
]

WAIT_S = 90.0
# Longer than MAX_PATH (260), as a user's folders may be.
DEEP = "a folder with a long name " * 9


class WindowsService:
    """The real service with its data in `folder`, in a process group of its own."""

    def __init__(self, folder: Path, *more: str, code_page: str | None = None) -> None:
        self.base = f"http://127.0.0.1:{(port := free_port())}"
        env = {**os.environ, "DATA_DIR": str(folder / "data"), "LOGS_DIR": str(folder / "logs")}
        if code_page is not None:
            env["PYTHONIOENCODING"] = code_page
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "backend.main:app", "--port", str(port), *more],
            cwd=ROOT,
            env=env,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.until(self.is_up)

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.base}/health", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def until(self, condition: object) -> None:
        assert callable(condition)
        give_up_at = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < give_up_at
            assert self.process.poll() is None, "the service ended by itself"
            time.sleep(0.05)

    def speak(self) -> None:
        """Start the speech engine, whatever comes of it."""
        httpx.post(
            f"{self.base}/api/voices/voice_builtinafheart/preview", json={"text": "Hello."}, timeout=WAIT_S
        )

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self) -> None:
        """What Ctrl+C in the console does to the whole group; CTRL_BREAK is its form for a group."""
        self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))


@pytest.mark.parametrize(
    "name", ["with spaces", "数字人 工作室", DEEP.strip()], ids=["spaces", "Chinese", "long"]
)
def test_the_service_works_in_folders_that_people_have(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    service = WindowsService(folder)
    try:
        assert (folder / "data" / "sqlite.db").is_file()
        assert httpx.get(f"{service.base}/api/engines", trust_env=False).status_code == 200
    finally:
        service.interrupt()
        service.process.wait(timeout=30)


def test_chinese_messages_on_a_console_of_code_page_936_do_not_end_the_service(tmp_path: Path) -> None:
    service = WindowsService(tmp_path / "目录", code_page="cp936")
    try:
        answer = httpx.get(
            f"{service.base}/api/jobs/job_zzzzzzzz1", headers={"Accept-Language": "zh-CN"}, trust_env=False
        )
        assert answer.status_code == 404
    finally:
        service.interrupt()
        service.process.wait(timeout=30)


def test_ctrl_c_leaves_no_python_behind(tmp_path: Path) -> None:
    service = WindowsService(tmp_path)
    service.speak()
    children = service.children()
    service.interrupt()
    service.process.wait(timeout=30)
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_terminated_service_takes_its_engines_with_it(tmp_path: Path) -> None:
    """TerminateProcess gives no time to tidy: the Job Object has to do it."""
    service = WindowsService(tmp_path)
    service.speak()
    children = service.children()
    assert children
    service.process.kill()
    service.process.wait(timeout=30)
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_with_reload_engines_still_start(tmp_path: Path) -> None:
    """`--reload` runs on a selector loop, where asyncio's own subprocesses do not exist."""
    service = WindowsService(tmp_path, "--reload")
    try:
        service.speak()
        names = [child.name().lower() for child in service.children()]
        assert len([name for name in names if "python" in name]) >= 2, "the reloaded server and its engine"
    finally:
        service.interrupt()
        service.process.wait(timeout=30)


def test_a_fresh_file_that_a_scanner_holds_open_is_renamed_when_it_lets_go(tmp_path: Path) -> None:
    source, target = tmp_path / "made.part", tmp_path / "made.mp4"
    source.write_bytes(b"frames")
    scanner = source.open("rb")
    threading.Timer(0.3, scanner.close).start()
    replace_durably(source, target)
    assert target.read_bytes() == b"frames"


def test_a_second_service_on_the_same_data_does_not_start(tmp_path: Path) -> None:
    service = WindowsService(tmp_path)
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
        service.interrupt()
        service.process.wait(timeout=30)


def test_the_start_script_runs_from_a_folder_with_blanks_and_chinese_characters(tmp_path: Path) -> None:
    folder = tmp_path / "全能 工作室"
    folder.mkdir()
    shutil.copy(ROOT / "start.bat", folder)
    shutil.copytree(ROOT / "launcher", folder / "launcher")
    done = subprocess.run(
        ["cmd", "/c", str(folder / "start.bat"), "--help"], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
