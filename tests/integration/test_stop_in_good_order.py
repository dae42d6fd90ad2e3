"""A stop signal ends the service although a page still follows events."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.studio import ROOT, free_port

# Without the early end of streams, uvicorn waits for ever; with it, a stop takes a fraction of a second.
STOP_WITHIN_S = 10.0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM does not exist on Windows")
def test_an_open_event_stream_does_not_keep_the_service_from_stopping(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "backend.main:app", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(tmp_path / "data"), "LOGS_DIR": str(tmp_path / "logs")},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            try:
                httpx.get(f"{url}/health", trust_env=False, timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        with httpx.stream("GET", f"{url}/api/events", trust_env=False, timeout=30) as stream:
            lines = stream.iter_lines()
            assert "snapshot" in next(line for line in lines if line.startswith("event:"))
            process.terminate()
            process.wait(timeout=STOP_WITHIN_S)
            assert list(lines) is not None, "the stream ended instead of breaking"
    finally:
        process.kill()
        process.wait(timeout=10)
