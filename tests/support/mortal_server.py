"""The real service with twins in place of its workers, in a process of its own that can die at a chosen point.

Run: `python -m tests.support.mortal_server FOLDER PORT [--die POINT] [--engine FIXTURE:TASK] [--speech CODE] [SETTING=VALUE ...]`.
The product has no hook for this: SQLite's own trace, `Path.replace` and the bus are watched from here.
`POINT` is where SIGKILL strikes:

    sql:TEXT:N      before the Nth statement that contains TEXT (all statements when TEXT is empty)
    renamed:TEXT:N  after the Nth rename onto a path that contains TEXT
    told:TYPE:N     after the commit of the Nth event of this type, before anybody hears of it
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from backend.engines.base import BaseEngineAdapter
from backend.main import create_app
from backend.models.codes import ErrorCode
from backend.models.records import NewEvent
from backend.services.event_bus import EventBus
from tests.support.fixture_engine import FixtureEngine
from tests.support.studio import settings_in
from tests.support.twin_speech_engine import TwinSpeechEngine
from tests.support.twin_worker import TwinWorker


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # the signal is on its way


def _countdown(number: int) -> Callable[[], None]:
    """A function that dies at its `number`th call."""
    calls = itertools.count(1)

    def struck() -> None:
        if next(calls) == number:
            _die()

    return struck


def _arm_sql(text: str, struck: Callable[[], None]) -> None:
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        # Called before the statement runs, on the thread that runs it.
        connection.set_trace_callback(lambda statement: struck() if text in statement else None)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]


def _arm_rename(text: str, struck: Callable[[], None]) -> None:
    replace = Path.replace

    def watched(self: Path, target: Any) -> Path:
        moved = replace(self, target)
        if text in str(target):
            struck()
        return moved

    Path.replace = watched  # type: ignore[assignment, method-assign]


def _arm_publish(kind: str, struck: Callable[[], None]) -> None:
    publish = EventBus.publish

    def watched(self: EventBus, events: tuple[NewEvent, ...]) -> None:
        for event in events:
            if str(event.type) == kind:
                struck()
        publish(self, events)

    EventBus.publish = watched  # type: ignore[method-assign]


_ARMS = {"sql": _arm_sql, "renamed": _arm_rename, "told": _arm_publish}


def arm(point: str) -> None:
    """Make this process die at `point`."""
    kind, rest = point.split(":", 1)
    text, number = rest.rsplit(":", 1)
    _ARMS[kind](text, _countdown(int(number)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--die", default=None)
    parser.add_argument("--engine", default=None, help="FIXTURE:TASK, registered as the engine `fixture`")
    parser.add_argument(
        "--speech", default=None, help="CODE with which the speech engine `twinclone` always fails"
    )
    parser.add_argument("settings", nargs="*")
    given = parser.parse_args()
    if given.die:
        arm(given.die)
    adapters: list[BaseEngineAdapter] = []
    if given.engine:
        handler, task = given.engine.split(":")
        adapters.append(FixtureEngine("fixture", given.folder, handler, task))
    speech_engines = [TwinSpeechEngine(always=ErrorCode(given.speech))] if given.speech else []
    settings = settings_in(given.folder, **dict(pair.split("=") for pair in given.settings))
    twins = {"speech": TwinWorker("speech"), "draft": TwinWorker("draft")}
    uvicorn.run(
        create_app(settings, adapters=adapters, speech_engines=speech_engines, workers=twins),
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
