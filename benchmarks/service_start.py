"""How soon the service answers after its process starts, and how much memory it holds when idle.

Run: `python -m benchmarks.service_start`. Loopback only; a data folder of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
STARTS = 5
START_WITHIN_S = 60.0
SETTLE_S = 1.0


class Service:
    """One boot of the service; `ready_s` is the time to the first answer."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        env = {**os.environ, "DATA_DIR": str(folder / "data"), "LOGS_DIR": str(folder / "logs")}
        began = time.monotonic()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "backend.main:app",
                "--port",
                str(port),
                "--log-level",
                "warning",
            ],
            cwd=ROOT,
            env=env,
        )
        while time.monotonic() - began < START_WITHIN_S:
            try:
                with urllib.request.urlopen(self.base + "/health", timeout=5):  # noqa: S310 - loopback
                    break
            except OSError:
                time.sleep(0.01)
        self.ready_s = time.monotonic() - began

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    def rss_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


def main() -> None:
    print(f"load average before: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(STARTS):
            with Service(Path(folder)) as service:
                time.sleep(SETTLE_S)
                print(
                    f"ready in {service.ready_s:.2f} s (bound 2), idle RSS {service.rss_mib():.0f} MiB (bound 100)"
                )


if __name__ == "__main__":
    main()
