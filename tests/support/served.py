"""The service with twins behind a real uvicorn on loopback, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from backend.api.http_protocol import HttpProtocol
from backend.engines.worker_port import EngineWorker
from backend.main import create_app
from backend.utils.config import Settings
from tests.support.studio import settings_in
from tests.support.twin_worker import TwinWorker

START_WITHIN_S = 60.0
STOP_WITHIN_S = 60.0


Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class WireAnswer:
    """What came back over the wire; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(connection: socket.socket, method: str = "GET") -> WireAnswer:
    """One answer from an open connection, to its end."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    body = response.read()
    return WireAnswer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)


@dataclass(frozen=True)
class Served:
    """A running server. `url` has no slash at its end."""

    url: str
    port: int
    app: FastAPI
    settings: Settings

    def connect(self) -> socket.socket:
        """A bare connection, for what an HTTP client would not send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_WITHIN_S)

    def exchange(
        self,
        method: str,
        target: str | bytes,
        headers: Headers = (),
        body: bytes = b"",
        host: bytes | None = None,
    ) -> WireAnswer:
        """One request with exactly these bytes as target and headers, on a connection of its own."""
        path = target if isinstance(target, bytes) else target.encode("ascii")
        lines = [
            b"%b %b HTTP/1.1" % (method.encode(), path),
            b"Host: %b" % (f"127.0.0.1:{self.port}".encode() if host is None else host),
            b"Connection: close",
            *(b"%b: %b" % pair for pair in headers),
        ]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(b"Content-Length: %d" % len(body))
        with self.connect() as connection:
            # A server that refuses early hangs up while we still send: the answer is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            return read_answer(connection, method)


def twins() -> dict[str, EngineWorker]:
    return {"speech": TwinWorker("speech"), "draft": TwinWorker("draft")}


@contextlib.contextmanager
def serving(
    folder: Path, workers: Mapping[str, EngineWorker] | None = None, **changes: Any
) -> Iterator[Served]:
    """Start the service over `folder` and stop it at the end."""
    settings = settings_in(folder, **changes)
    app = create_app(settings, workers=twins() if workers is None else workers)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app, http=HttpProtocol, ws="none", lifespan="on", log_config=None, timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn", daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + START_WITHIN_S
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield Served(f"http://127.0.0.1:{port}", port, app, settings)
        finally:
            server.should_exit = True
            thread.join(STOP_WITHIN_S)
    assert not thread.is_alive(), "the server did not stop"
