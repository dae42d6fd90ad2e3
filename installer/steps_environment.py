"""The steps that make an engine's empty environment: uv, a Python, the environment. Start script's Python.

Everything lies in the engine's folder; what is not ours is never removed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from installer import interpreters
from installer.context import UV_LOCK, Context
from installer.interpreters import Interpreter
from installer.state import read_state
from installer.step import Step, failed, repeat
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import child_environment, python_of
from launcher.state import lock_digest
from launcher.venv import base_python

_PROBE_S, _VENV_S = 60.0, 600.0


def _uv_intact(context: Context) -> bool:
    if not context.uv.is_file():
        return False
    outcome = context.runner.capture(
        [str(context.uv), "--version"], timeout_s=_PROBE_S, env=child_environment()
    )
    return outcome.status == 0


def _install_uv(context: Context, facts: dict[str, Any]) -> None:
    shutil.rmtree(context.uv_folder, ignore_errors=True)
    command = [
        *(
            _pip_python(context),
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-deps",
        ),
        *("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--target"),
        *(str(context.uv_folder), "--index-url", context.sources.pypi, "-r", str(UV_LOCK)),
    ]
    repeat(context, "uv", lambda: context.runner.stream(command, cwd=context.core, env=child_environment()))
    if not _uv_intact(context):
        raise failed("uv", "uv was installed but does not start.", Outcome(-1))


def _pip_python(context: Context) -> str:
    """An interpreter with pip: the product's, this one, or a small environment made for it."""
    own = context.core / "tools" / "pip"
    for candidate in (str(python_of(context.root / ".venv")), base_python(), str(python_of(own))):
        check = [candidate, "-m", "pip", "--version"]
        if context.runner.capture(check, timeout_s=_PROBE_S, env=child_environment()).status == 0:
            return candidate
    outcome = context.runner.capture(
        [base_python(), "-m", "venv", str(own)], timeout_s=_VENV_S, env=child_environment()
    )
    if outcome.status != 0:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise LauncherError(
            Exit.ENVIRONMENT,
            "Step “uv” failed. This Python has no pip and cannot make an environment with it.",
            details=outcome.lines[-4:],
            fix=f"run the start script first; on Debian and Ubuntu: sudo apt install {package}",
            fix_zh=f"请先运行启动脚本；Debian/Ubuntu：sudo apt install {package}",
        )
    return str(python_of(own))


# --- python and environment ----------------------------------------------------------------------


def _ensure_python(context: Context, facts: dict[str, Any]) -> None:
    found = None
    if not context.private_python:
        headers = context.engine.needs_headers and sys.platform == "linux"
        found = interpreters.find(context.engine.pythons, context.runner, headers=headers)
    if found is None:
        wanted = context.engine.pythons[0]
        repeat(context, "python", lambda: context.run_uv("python", "install", wanted, "--no-bin"))
        found = _private_python(context, wanted)
    if found is None:
        raise failed("python", "The private Python was installed but does not start.", Outcome(-1))
    facts["python"] = found.version
    facts["python_path"] = found.path


def _private_python(context: Context, wanted: str) -> Interpreter | None:
    pattern = "python.exe" if sys.platform == "win32" else "bin/python3"
    for path in sorted((context.core / "python").glob(f"cpython-{wanted}*/{pattern}")):
        found = interpreters.ask([str(path)], context.runner)
        if found is not None:
            return found
    return None


def _python_intact(context: Context) -> bool:
    path = read_state(context.core).facts.get("python_path")
    return isinstance(path, str) and interpreters.ask([path], context.runner) is not None


def _make_environment(context: Context, facts: dict[str, Any]) -> None:
    folder = context.environment
    if folder.exists():
        _remove_environment(folder)
    outcome = context.run_uv("venv", "--python", str(facts["python_path"]), "--no-project", str(folder))
    if outcome.status != 0:
        raise failed("environment", "The environment could not be made.", outcome)


def _remove_environment(folder: Path) -> None:
    """Only what an installer made: somebody's own folder is never deleted."""
    if not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"Step “environment” failed. {folder} exists and is not an environment of this installer.",
            fix=f"rename or delete {folder}, then run this again.",
            fix_zh=f"请重命名或删除 {folder}，然后再次运行。",
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"Step “environment” failed. {folder.name} cannot be removed: {error}",
            fix="stop All-in-one and close what uses this folder, then run this again.",
            fix_zh="请停止 All-in-one 并关闭占用该文件夹的程序，然后再次运行。",
        ) from error


def _environment_intact(context: Context) -> bool:
    return interpreters.ask([str(context.python)], context.runner) is not None


UV = Step(
    name="uv",
    title="uv, which installs the rest",
    inputs=lambda c: lock_digest(UV_LOCK),
    is_intact=_uv_intact,
    run=_install_uv,
    about_mib=lambda c: 25,
)
PYTHON = Step(
    name="python",
    title="a Python for the engine",
    inputs=lambda c: [c.engine.pythons, c.private_python],
    is_intact=_python_intact,
    run=_ensure_python,
    about_mib=lambda c: 35,
)
ENVIRONMENT = Step(
    name="environment",
    title="its environment",
    inputs=lambda c: str(c.environment),
    is_intact=_environment_intact,
    run=_make_environment,
)
