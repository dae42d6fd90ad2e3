"""A tiny server that speaks the product's HTTP API from a script, for tests of the launcher's demo.

As a program (`python -m tests.integration.launcher_server PORT`) it stands for the real service as a child process.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

JOB_ID = "job_0123456789abcdef"
VOICES = [
    {"voice_id": "voice_mine00001", "name": "Mine", "language": "zh", "builtin": False, "default": False},
    {"voice_id": "voice_builtin01", "name": "First", "language": "en", "builtin": True, "default": False},
    {"voice_id": "voice_builtin02", "name": "Default", "language": "zh", "builtin": True, "default": True},
]
AVATARS = [{"avatar_id": "avatar_builtin01", "name": "Aria", "builtin": True, "default": True}]


@dataclass
class Scenario:
    """What the server answers. `progress` are the job's answers in order; the last one stays."""

    progress: list[dict[str, Any]] = field(default_factory=list)
    video: Path | None = None
    speech: Path | None = None
    key: str | None = None
    refuse_create: dict[str, Any] | None = None
    created: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)


def running(percent: int, stage: str, message: str = "") -> dict[str, Any]:
    return {"job_id": JOB_ID, "status": "processing", "progress": percent, "stage": stage, "message": message}


def ended(status: str, **more: Any) -> dict[str, Any]:
    return {"job_id": JOB_ID, "status": status, "progress": 100, "stage": None, "message": status, **more}


def _handler(scenario: Scenario) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            if self.path == "/health":
                self._json(200, {"ok": True})
            elif scenario.key is not None and self.headers.get("Authorization") != f"Bearer {scenario.key}":
                self._json(401, {"code": "unauthorized", "detail": "A key is needed."})
            elif self.path == "/api/voices":
                self._json(200, {"data": VOICES})
            elif self.path == "/api/avatars":
                self._json(200, {"data": AVATARS})
            elif self.path == f"/api/jobs/{JOB_ID}":
                answers = scenario.progress
                self._json(200, answers.pop(0) if len(answers) > 1 else answers[0])
            elif self.path == f"/api/jobs/{JOB_ID}/result" and scenario.video:
                self._file(scenario.video, "video/mp4")
            elif self.path == f"/api/jobs/{JOB_ID}/artifacts/audio.wav" and scenario.speech:
                self._file(scenario.speech, "audio/wav")
            else:
                self._json(404, {"code": "job_not_found", "detail": f"Nothing at {self.path}."})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/cancel"):
                scenario.cancelled.append(self.path)
                self._json(202, ended("cancelling"))
            elif scenario.refuse_create:
                self._json(503, scenario.refuse_create)
            else:
                scenario.created.append(body)
                self._json(202, {"job_id": JOB_ID, "selected_engine": "draft", "status": "queued"})

        def _json(self, status: int, data: dict[str, Any]) -> None:
            self._send(status, "application/json", json.dumps(data).encode())

        def _file(self, path: Path, media_type: str) -> None:
            self._send(200, media_type, path.read_bytes())

        def _send(self, status: int, media_type: str, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@contextlib.contextmanager
def serving(scenario: Scenario) -> Iterator[str]:
    """The scenario on a free loopback port; yields the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(scenario))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Serve on the port given as the argument until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _handler(Scenario()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
