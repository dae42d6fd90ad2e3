"""The service with twins behind a real uvicorn on loopback, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
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
