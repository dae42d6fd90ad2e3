"""How the start script serves: the product's own connections, and no address of a request in the logs."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from backend.api.http_protocol import HttpProtocol
from backend.storage.errors import translate_sqlite
from backend.storage.setup import InstanceLock
from backend.utils.logger import configure_logging
from launcher.errors import Exit, LauncherError
from launcher.inside import RunOptions
from launcher.ports import any_free_port
from launcher.serve import GRACEFUL_SHUTDOWN_S, config_of, did_not_start, serve
from tests.support.served import STOP_WITHIN_S, read_answer
from tests.support.studio import settings_in
from tests.unit.launcher.twins import FakeRunner, MemoryConsole

# A configuration of uvicorn sets these for the whole process.
_LOGGERS = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi")


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    before = [
        (found, found.level, found.propagate, list(found.handlers))
        for found in map(logging.getLogger, _LOGGERS)
    ]
    yield
    for found, level, propagate, handlers in before:
        found.setLevel(level)
        found.propagate = propagate
        found.handlers = handlers


def test_connections_are_those_of_the_product(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, host="127.0.0.1", port=8123)
    app = FastAPI()
    config = config_of(app, settings)
    assert (config.app, config.host, config.port) == (app, "127.0.0.1", 8123)
    assert (config.http, config.ws, config.log_config, config.access_log) == (
        HttpProtocol,
        "none",
        None,
        False,
    )
    assert config.timeout_graceful_shutdown == GRACEFUL_SHUTDOWN_S
    config.load()
    assert config.http_protocol_class is HttpProtocol
    assert config.ws_protocol_class is None


def test_what_is_no_request_is_answered_in_json_and_no_path_is_logged(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    close = configure_logging(logs)
    app = FastAPI()
    server = uvicorn.Server(config_of(app, settings_in(tmp_path)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn", daemon=True)
        thread.start()
        try:
            # The listener takes connections before the server does: no need to wait for it.
            with socket.create_connection(listener.getsockname(), timeout=STOP_WITHIN_S) as connection:
                connection.sendall(b"GET /secret-path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert read_answer(connection).status == 404
            with socket.create_connection(listener.getsockname(), timeout=STOP_WITHIN_S) as connection:
                connection.sendall(b"no request at all\r\n\r\n")
                answer = read_answer(connection)
            assert (answer.status, answer.media_type) == (400, "application/problem+json")
        finally:
            server.should_exit = True
            thread.join(STOP_WITHIN_S)
            close()
    assert not thread.is_alive()
    assert "secret-path" not in (logs / "app.log").read_text(encoding="utf-8")


def test_a_start_that_is_refused_says_why_and_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_in(tmp_path, port=any_free_port())
    for folder in (settings.data_dir, settings.logs_dir):
        folder.mkdir(parents=True, exist_ok=True)
    lock = InstanceLock(settings.data_dir)
    lock.acquire()
    try:
        with pytest.raises(LauncherError, match="did not start") as caught:
            serve(settings, RunOptions(), FakeRunner(), MemoryConsole())
    finally:
        lock.release()
    assert caught.value.status is Exit.FAILED
    assert caught.value.details[0].startswith("Another instance already uses the data folder")
    assert caught.value.fix.startswith("Close the other window")
    assert "Traceback" not in capsys.readouterr().err
    assert "Traceback" in (settings.logs_dir / "app.log").read_text(encoding="utf-8")


def test_a_defect_at_the_start_is_named_in_a_line_without_its_traceback(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    missing = did_not_start(FileNotFoundError(2, "No such file", "voices.json"), log)
    assert missing.details == ("FileNotFoundError: [Errno 2] No such file: 'voices.json'", f"{log} has more.")
    assert "unpack it again" in missing.fix
    assert did_not_start(ValueError("wrong\n  where\n  what\n  read more"), log).details[0] == (
        "ValueError: wrong where what"
    )
    assert did_not_start(None, log).details == (f"{log} has more.",)


def test_a_refusal_without_a_remedy_tells_what_the_database_said(tmp_path: Path) -> None:
    refused = translate_sqlite(sqlite3.OperationalError("attempt to write a readonly database"))
    refused.__cause__ = sqlite3.OperationalError("attempt to write a readonly database")
    told = did_not_start(refused, tmp_path / "app.log")
    assert told.details[1] == "OperationalError: attempt to write a readonly database"
    assert "write the data folder" in told.fix
