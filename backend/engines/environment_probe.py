"""Whether a GPU engine's own environment lies where the installer puts it. Service process side.

The environment is another Python with its own torch; the service looks at files only and imports nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from backend.engines.base import READY, Readiness
from backend.models.codes import ErrorCode

# Written by the installer (installer/state.py) around every step.
INSTALL_STATE = "all-in-one.json"


def environment_python(core_dir: Path) -> Path | None:
    """The interpreter in `<core>/python_env`: the Windows layouts first, then the POSIX one."""
    candidates = (
        core_dir / "python_env" / "python.exe",
        core_dir / "python_env" / "Scripts" / "python.exe",
        core_dir / "python_env" / "bin" / "python",
    )
    return next((path for path in candidates if path.is_file()), None)


def expected_python(core_dir: Path) -> Path:
    """The interpreter that is there, or where the installer will put it."""
    there = environment_python(core_dir)
    if there is not None:
        return there
    return core_dir / "python_env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_installation_whole(core_dir: Path) -> bool:
    """Whether the installer finished its last step here. False also for a folder that was moved."""
    state = _state(core_dir)
    return bool(state.get("ready")) and state.get("folder") == str(core_dir)


def installation_readiness(
    core_dir: Path, *, title: str, installer: str, source: str | None = None
) -> Readiness:
    """READY, or NOT_INSTALLED with the reason and the way out. A few looks at the disk.

    `installer` names the scripts to run; `source`: a file by which the engine's own code is known, where its folder
    holds that too.
    """
    if environment_python(core_dir) is None:
        return _missing(
            f"{title} is not installed on this computer.",
            f"Run {installer} in the project folder. It needs an NVIDIA GPU.",
        )
    if source is not None and not (core_dir / source).is_file():
        return _missing(
            f"{title}'s own files are missing: there is no {source} in {core_dir.name}.",
            f"Run {installer} again; it fetches them, or uses a copy that you put there.",
        )
    if not is_installation_whole(core_dir):
        return _missing(
            f"The installation of {title} is not finished.",
            f"Run {installer} again; it goes on where it stopped.",
        )
    return READY


def _missing(reason: str, fix: str) -> Readiness:
    return Readiness("NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, reason, fix)


def chosen_gpu(core_dir: Path) -> int | None:
    """The GPU that the environment was installed for, by nvidia-smi's number; None when it is not written."""
    index = _facts(core_dir).get("gpu_index")
    return index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else None


def is_for_a_gpu(core_dir: Path) -> bool:
    """False where the installer found no GPU and put in a PyTorch that computes on the processor."""
    return _facts(core_dir).get("device") != "cpu"


def _facts(core_dir: Path) -> dict[str, Any]:
    facts = _state(core_dir).get("facts")
    return facts if isinstance(facts, dict) else {}


def _state(core_dir: Path) -> dict[str, Any]:
    try:
        state = json.loads((core_dir / INSTALL_STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
