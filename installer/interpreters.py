"""Finds a Python that an engine can be built on. Runs in the start script's Python.

Flow: this Python, the usual names, the Windows launcher -> each asked for its version and width -> the first that an
engine accepts, its favourite version first. None: uv fetches one into the engine's own folder.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import chain

from launcher.process import Runner
from launcher.project import child_environment
from launcher.venv import base_python

# A cold network disk, a virus scanner.
TIMEOUT_S = 60.0
_ASK = (
    "import json, os, struct, sys, sysconfig; print(json.dumps({'version': list(sys.version_info[:3]), "
    "'bits': struct.calcsize('P') * 8, 'path': sys.executable, "
    "'headers': os.path.isfile(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))}))"
)


@dataclass(frozen=True)
class Interpreter:
    """`path` is the program itself, `version` such as 3.11.9; `has_headers`: C code can be built against it."""

    path: str
    version: str
    has_headers: bool = False

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


def find(wanted: tuple[str, ...], runner: Runner, *, headers: bool = False) -> Interpreter | None:
    """An interpreter of one of the `wanted` minor versions, the first of them preferred; with C headers if asked."""
    own = ask([base_python()], runner)
    for minor in wanted:
        for found in chain([own], (ask(command, runner) for command in _commands(minor))):
            if found is not None and found.minor == minor and (found.has_headers or not headers):
                return found
    return None


def ask(command: list[str], runner: Runner) -> Interpreter | None:
    """What answers to `command`; None when it does not start or has 32 bits."""
    outcome = runner.capture([*command, "-I", "-c", _ASK], timeout_s=TIMEOUT_S, env=child_environment())
    if outcome.status != 0 or not outcome.lines:
        return None
    try:
        found = json.loads(outcome.lines[-1])
        version = ".".join(str(int(part)) for part in found["version"])
        if int(found["bits"]) != 64:
            return None
        return Interpreter(str(found["path"]), version, found.get("headers") is True)
    except (ValueError, KeyError, TypeError):
        return None


def _commands(minor: str) -> list[list[str]]:
    if sys.platform == "win32":
        return [["py", f"-{minor}"]]
    return [[f"python{minor}"]]
