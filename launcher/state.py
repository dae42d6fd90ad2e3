"""`all-in-one.json` inside a virtual environment: how far its making got, and for what.

The file is the only memory between starts. It is written before a risky step and again after it, so a start
that was killed in the middle is recognised by what the file still says.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

STATE_NAME = "all-in-one.json"

CREATING = "creating"  # `python -m venv` may be half done
CREATED = "created"  # an empty, working environment
INSTALLING = "installing"  # packages may be half unpacked
READY = "ready"  # filled from the lock named in `lock_sha256`


@dataclass(frozen=True)
class EnvironmentState:
    """What the last start knew. `python` is "3.11"; `folder` is where the environment lay then."""

    phase: str
    folder: str
    python: str = ""
    lock_sha256: str = ""


def read_state(folder: Path) -> EnvironmentState | None:
    """The state kept in `folder`; None when there is none or it cannot be read."""
    try:
        data = json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
        return EnvironmentState(
            str(data["phase"]), str(data["folder"]), str(data["python"]), str(data["lock_sha256"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(folder: Path, phase: str, *, python: str = "", lock_sha256: str = "") -> None:
    """Replace the state in one step; a crash leaves the old or the new file, never half of one."""
    state = EnvironmentState(phase, str(folder), python, lock_sha256)
    fresh = folder / (STATE_NAME + ".new")
    fresh.write_text(json.dumps(asdict(state), ensure_ascii=False), encoding="utf-8")
    fresh.replace(folder / STATE_NAME)


def lock_digest(lock: Path) -> str:
    """SHA-256 of a lock file, with line endings normalised: a CRLF checkout is the same list."""
    return hashlib.sha256(lock.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
