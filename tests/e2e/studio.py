"""The real application in a process of its own, for tests that drive its page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
# A cold start on a busy machine that shares its cores; the product's own bound is far lower.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.1


@dataclass(frozen=True)
class Studio:
    """A running service. `url` has no slash at its end."""

    url: str
    data_dir: Path

    def get(self, path: str) -> Any:
        answer = httpx.get(self.url + path, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(self.url + path, json=body, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def put(self, path: str, body: dict[str, Any]) -> Any:
        answer = httpx.put(self.url + path, json=body, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def delete(self, path: str) -> None:
        httpx.delete(self.url + path, timeout=30, trust_env=False).raise_for_status()

    def forget_draft(self) -> None:
        """What the page keeps of a half-written video, so that the next one begins as a new user."""
        for draft in self.get("/api/drafts")["data"]:
            self.delete(f"/api/drafts/{draft['name']}")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def provide_models(target: Path) -> None:
    """The speech model, made once: linked from the checkout's `data/models` when it is there."""
    installed = ROOT / "data" / "models"
    command = [sys.executable, "-m", "workers.speech.install", "--models-dir", str(installed)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    try:
        target.symlink_to(installed, target_is_directory=True)
    except OSError:
        # Windows allows links only to developers and administrators.
        shutil.copytree(installed, target)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(POLL_S)
    raise AssertionError(
        f"the service did not start:\n{output.read_text(encoding='utf-8', errors='replace')}"
    )


def _end_the_first_run(url: str, key: str) -> None:
    """Open in the Studio, as for somebody who has been here before."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"done": True}
    answer = httpx.post(
        f"{url}/api/system/first-run", json=body, headers=headers, timeout=30, trust_env=False
    )
    answer.raise_for_status()


@contextmanager
def running_studio(
    folder: Path,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    *,
    first_run: bool = False,
) -> Iterator[Studio]:
    """Start the service with its data in `folder` and stop it at the end. `settings` go to its environment.

    With `first_run` the page opens with the welcome of a new installation.
    """
    port = port or free_port()
    data_dir = folder / "data"
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "models").exists():
        provide_models(data_dir / "models")
    env = os.environ | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(data_dir),
        "LOGS_DIR": str(folder / "logs"),
        # Renders beside a browser on a small machine.
        "CPU_THREADS": "1",
        **(settings or {}),
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "backend.main:app", "--host", "127.0.0.1", "--port", str(port)),
        # Pages hold their event streams open; without a bound uvicorn would wait for them for ever.
        *("--timeout-graceful-shutdown", "2"),
    ]
    output = folder / "server.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=sink, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(url, process, output)
            if not first_run:
                _end_the_first_run(url, (settings or {}).get("API_KEY", ""))
            yield Studio(url, data_dir)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_TIMEOUT_S)
