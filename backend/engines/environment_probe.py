"""Whether a GPU engine's own environment lies where the installer puts it. Service process side.

The environment is another Python with its own torch; the service looks at files only and imports nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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


def chosen_gpu(core_dir: Path) -> int | None:
    """The GPU that the environment was installed for, by nvidia-smi's number; None when it is not written."""
    facts = _state(core_dir).get("facts")
    index = facts.get("gpu_index") if isinstance(facts, dict) else None
    return index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else None


def _state(core_dir: Path) -> dict[str, Any]:
    try:
        state = json.loads((core_dir / INSTALL_STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
