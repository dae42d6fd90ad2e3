"""Whether a GPU engine's own environment lies where the installer puts it. Service process side.

The environment is another Python with its own torch; the service looks at files only and imports nothing.
"""

from __future__ import annotations

from pathlib import Path


def environment_python(core_dir: Path) -> Path | None:
    """The interpreter in `<core>/python_env`: the Windows layouts first, then the POSIX one."""
    candidates = (
        core_dir / "python_env" / "python.exe",
        core_dir / "python_env" / "Scripts" / "python.exe",
        core_dir / "python_env" / "bin" / "python",
    )
    return next((path for path in candidates if path.is_file()), None)
