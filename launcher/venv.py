"""Makes a virtual environment, and finds out whether an existing one can be trusted.

Runs in the system's Python. An environment is thrown away and made again when its making was cut short, when
its folder was moved, or when its Python is gone or not supported. It is never thrown away when it does not
look like a virtual environment: that folder is somebody's.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

from launcher import SUPPORTED, state
from launcher.console import Console
from launcher.errors import Exit, LauncherError
from launcher.process import Runner
from launcher.project import EnvironmentSpec, child_environment, python_of

# An interpreter that does not answer in this time (s) is broken; a cold network disk needs a few seconds.
PROBE_TIMEOUT_S = 60.0
# ensurepip unpacks about 10 MB; slow disks with a virus scanner take a minute.
CREATE_TIMEOUT_S = 600.0

_PROBE = (
    "import importlib.util, json, sys; "
    "print(json.dumps({'version': sys.version_info[:3], 'prefix': sys.prefix, "
    "'base': sys.base_prefix, 'pip': importlib.util.find_spec('pip') is not None}))"
)


def ensure_environment(
    spec: EnvironmentSpec, runner: Runner, console: Console, *, rebuild: bool = False
) -> str:
    """Make `spec.folder` a working virtual environment; returns its Python version, such as "3.11.7"."""
    reason = "you asked for it" if rebuild else why_rebuild(spec.folder)
    version = None
    if reason is None and spec.folder.exists():
        version, reason = probe(spec.folder, runner)
    if version is None:
        if spec.folder.exists() or spec.folder.is_symlink():
            if reason is not None:
                console.warn(f"{spec.folder.name} is made again: {reason}")
            remove_environment(spec.folder)
        create_environment(spec.folder, runner, console)
        version, reason = probe(spec.folder, runner)
    if version is None:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"The new virtual environment does not work: {reason}",
            fix="install Python 3.11 again (python.org, or your system's packages) and start once more.",
            fix_zh="请重新安装 Python 3.11（python.org 或系统软件包），然后再次启动。",
        )
    return version


def why_rebuild(folder: Path) -> str | None:
    """What the state file says against this environment; None when nothing does."""
    known = state.read_state(folder)
    if known is None:
        return None
    if known.phase == state.CREATING:
        return "an earlier start was interrupted while making it"
    if known.phase == state.INSTALLING:
        return "an earlier installation was interrupted"
    if Path(known.folder) != folder:
        return "the project folder was moved or copied"
    return None


def probe(folder: Path, runner: Runner) -> tuple[str | None, str | None]:
    """(version, None) when the environment in `folder` works, else (None, reason)."""
    python = python_of(folder)
    if not python.exists():
        return None, "its Python is missing"
    outcome = runner.capture([str(python), "-c", _PROBE], timeout_s=PROBE_TIMEOUT_S, env=child_environment())
    try:
        found = json.loads(outcome.lines[-1]) if outcome.status == 0 else None
    except (IndexError, ValueError):
        found = None
    if not isinstance(found, dict):
        return None, "its Python does not start"
    version = ".".join(str(part) for part in found["version"])
    if tuple(found["version"][:2]) not in SUPPORTED:
        return None, f"its Python is {version}; 3.10, 3.11 or 3.12 is needed"
    if found["prefix"] == found["base"]:
        return None, "it is not a virtual environment"
    if not found["pip"]:
        return None, "pip is missing in it"
    return version, None


def remove_environment(folder: Path) -> None:
    """Delete an environment that cannot be used. Refuses a folder that is not one."""
    if folder.is_symlink():
        folder.unlink()
        return
    ours = (folder / "pyvenv.cfg").exists() or (folder / state.STATE_NAME).exists()
    if not ours and any(folder.iterdir()):
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"{folder.name} exists and is not a virtual environment.",
            fix=f"move or delete the folder {folder}, then start again.",
            fix_zh=f"请移走或删除文件夹 {folder}，然后再次启动。",
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"{folder.name} is broken and cannot be removed: {error}",
            fix=f"close every program that uses it (an earlier All-in-one), delete {folder}, start again.",
            fix_zh=f"请关闭正在使用它的程序（包括之前启动的 All-in-one），删除 {folder} 后再次启动。",
        ) from error


def create_environment(folder: Path, runner: Runner, console: Console) -> None:
    """Make an empty environment with pip from the base interpreter of this process."""
    console.doing(f"Making the virtual environment {folder.name}")
    _require_ensurepip()
    try:
        folder.mkdir()
        state.write_state(folder, state.CREATING)
    except OSError as error:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"The folder {folder.parent} cannot be written: {error}",
            fix="put the project in a folder of your own (not Program Files, not a ZIP window), start again.",
            fix_zh="请把项目放在自己有写权限的文件夹中（不要放在 Program Files 或压缩包窗口里），再次启动。",
        ) from error
    outcome = runner.capture(
        [base_python(), "-m", "venv", str(folder)], timeout_s=CREATE_TIMEOUT_S, env=child_environment()
    )
    if outcome.status != 0:
        # Best effort here: what cannot be removed now is recognised by its state at the next start.
        shutil.rmtree(folder, ignore_errors=True)
        if "ensurepip" in outcome.text:
            raise _ensurepip_missing()
        raise LauncherError(
            Exit.ENVIRONMENT,
            "The virtual environment could not be made.",
            details=outcome.lines[-8:],
            fix="check free disk space and that this folder can be written, then start again.",
            fix_zh="请检查磁盘剩余空间以及该文件夹是否可写，然后再次启动。",
        )
    state.write_state(folder, state.CREATED)


def base_python() -> str:
    """The interpreter that environments are made from: never one inside an environment we may delete."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _require_ensurepip() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        raise _ensurepip_missing()


def _ensurepip_missing() -> LauncherError:
    """Debian and Ubuntu ship Python without the part that makes virtual environments."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    return LauncherError(
        Exit.ENVIRONMENT,
        "This Python cannot make virtual environments (its module ensurepip is missing).",
        fix=f"Debian/Ubuntu: sudo apt install {package}   (elsewhere: install Python from python.org)",
        fix_zh=f"Debian/Ubuntu：sudo apt install {package}（其他系统：请安装 python.org 的 Python）",
    )
