"""Lives of the service with twins, each a process of its own on loopback, over one data folder."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.kill_loop_audit import Audit, audit
from tests.e2e.studio import ROOT, free_port
from tests.support.studio import TERMINAL, job_body

WAIT_S = 90.0


class Life:
    """One process. Its output goes to `server.txt` in the folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.base, trust_env=False, timeout=60)
        command = [sys.executable, "-m", "tests.support.mortal_server", str(folder), str(port), *arguments]
        with (folder / "server.txt").open("ab") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until the condition holds; the process must not end meanwhile."""
        give_up_at = time.monotonic() + WAIT_S
        while not (found := condition()):
            assert self.process.poll() is None, f"the service ended before: {what}\n{self.output}"
            assert time.monotonic() < give_up_at, f"never: {what}\n{self.output}"
            time.sleep(0.02)
        return found

    @property
    def output(self) -> str:
        return (self.folder / "server.txt").read_text(encoding="utf-8", errors="replace")[-3000:]

    def is_up(self) -> bool:
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def submit(self, key: str | None = None, **changes: Any) -> str | None:
        """The id of the new job, or None when the service died before its answer."""
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = self.http.post("/api/jobs", json=job_body(**changes), headers=headers)
        except httpx.TransportError:
            return None
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def view(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def end_of(self, job_id: str) -> dict[str, Any]:
        """The job as it is when it has ended."""
        self.until(lambda: self.view(job_id)["status"] in TERMINAL, f"the end of {job_id}")
        return self.view(job_id)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)

    def dies_of_itself(self) -> None:
        """Wait for the death that `--die` named."""
        assert self.process.wait(timeout=WAIT_S) == -signal.SIGKILL, self.output


@contextlib.contextmanager
def life(folder: Path, *arguments: str) -> Iterator[Life]:
    """A life that is up; ended in good order unless it is dead already."""
    alive = Life(folder, *arguments)
    try:
        alive.until(alive.is_up, "the first answer")
        yield alive
    finally:
        if alive.process.poll() is None:
            alive.process.terminate()
            try:
                alive.process.wait(timeout=30)
            finally:
                alive.kill()
        alive.http.close()


def audit_of(folder: Path, *acknowledged: str) -> Audit:
    """What is wrong with the data of a service that has stopped."""
    return audit(folder / "data", acknowledged=acknowledged, cancels={}, keys={})
