"""`all-in-one.json` in an engine's folder: which steps are done, and for what. Runs in the start script's Python.

Written before a step begins and after it is done, each time in one replacement: a run that was killed is recognised
by `running`. A step is done for its fingerprint, which holds everything that decided it and the step before it; when
a driver, a lock or a folder changes, the steps that depend on it are done again and no others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

STATE_NAME = "all-in-one.json"
VERSION = 1


@dataclass(frozen=True)
class InstallState:
    """`done`: fingerprint of each finished step. `facts`: what was installed, for people and for the service.
    `ready`: the last step is done."""

    folder: str
    done: dict[str, str] = field(default_factory=dict)
    running: str | None = None
    ready: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def read_state(core: Path) -> InstallState:
    """The state kept in `core`; an empty one when there is none, it cannot be read, or the folder was moved."""
    empty = InstallState(str(core))
    try:
        data = json.loads((core / STATE_NAME).read_text("utf-8"))
        if data["version"] != VERSION or data["folder"] != str(core):
            return empty
        return InstallState(
            folder=str(core),
            done={str(name): str(value) for name, value in data["done"].items()},
            running=None if data["running"] is None else str(data["running"]),
            ready=bool(data["ready"]),
            facts=dict(data["facts"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return empty


def write_state(core: Path, state: InstallState) -> None:
    """Replace the file in one step."""
    fresh = core / (STATE_NAME + ".new")
    fresh.write_text(
        json.dumps({"version": VERSION, **asdict(state)}, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    fresh.replace(core / STATE_NAME)


def begun(state: InstallState, step: str) -> InstallState:
    """`step` may be half done from now on; it and what follows it are not done."""
    done = {name: value for name, value in state.done.items() if name != step}
    return replace(state, done=done, running=step, ready=False)


def finished(state: InstallState, step: str, fingerprint: str) -> InstallState:
    """`step` is done."""
    return replace(state, done={**state.done, step: fingerprint}, running=None)
