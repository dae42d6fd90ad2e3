"""The steps of an installation. Each says what decides it, whether it is intact, and how it is done.

Runs in the start script's Python. A step raises LauncherError with its reason and how to go on; it may be called
again after any failure, and after the process was killed in the middle of it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installer import interpreters
from installer.causes import cause_of
from installer.context import UV_LOCK, Context
from installer.interpreters import Interpreter
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import child_environment, python_of
from launcher.state import lock_digest
from launcher.venv import base_python

ATTEMPTS = 3
PAUSE_BETWEEN_ATTEMPTS_S = 5.0
_PROBE_S, _SELF_TEST_S, _VENV_S = 60.0, 600.0, 600.0
_LIST = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.name.lower().replace('_', '-'): d.version for d in m.distributions() if d.name}))"
)
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """`inputs`: everything that decides what the step makes. `is_intact`: a look at what it made earlier.
    `about_mib`: what it downloads."""

    name: str
    title: str
    inputs: Callable[[Context], object]
    is_intact: Callable[[Context], bool]
    run: Callable[[Context, dict[str, Any]], None]
    about_mib: int = 0
    needs_gpu: bool = False


# --- uv ------------------------------------------------------------------------------------------


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
    _repeat(context, "uv", lambda: context.runner.stream(command, cwd=context.core, env=child_environment()))
    if not _uv_intact(context):
        raise _failed("uv", "uv was installed but does not start.", Outcome(-1))


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
    found = None if context.private_python else interpreters.find(context.engine.pythons, context.runner)
    if found is None:
        wanted = context.engine.pythons[0]
        _repeat(context, "python", lambda: context.run_uv("python", "install", wanted, "--no-bin"))
        found = _private_python(context, wanted)
    if found is None:
        raise _failed("python", "The private Python was installed but does not start.", Outcome(-1))
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
    path = _facts(context).get("python_path")
    return isinstance(path, str) and interpreters.ask([path], context.runner) is not None


def _facts(context: Context) -> dict[str, Any]:
    from installer.state import read_state

    return read_state(context.core).facts


def _make_environment(context: Context, facts: dict[str, Any]) -> None:
    folder = context.environment
    if folder.exists():
        _remove_environment(folder)
    outcome = context.run_uv("venv", "--python", str(facts["python_path"]), "--no-project", str(folder))
    if outcome.status != 0:
        raise _failed("environment", "The environment could not be made.", outcome)


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


# --- packages ------------------------------------------------------------------------------------


def _install_torch(context: Context, facts: dict[str, Any]) -> None:
    torch = context.torch
    if torch is None:
        raise no_gpu(context)
    if torch.warning:
        context.console.warn(torch.warning)
    _repeat(
        context,
        "torch",
        lambda: context.run_uv(
            *("pip", "install", "--python", str(context.python), "--only-binary", ":all:"),
            *("--default-index", context.sources.pypi, "--index", f"{context.sources.torch}/{torch.cuda}"),
            *torch.pins(context.engine.torch_packages),
        ),
    )
    facts["torch"] = torch.label
    facts["torch_reason"] = torch.reason


def _torch_intact(context: Context) -> bool:
    installed = _installed(context)
    torch = context.torch
    if torch is None:
        return False
    pins = dict(pin.split("==") for pin in torch.pins(context.engine.torch_packages))
    return all(installed.get(name) == version for name, version in pins.items())


def _install_packages(context: Context, facts: dict[str, Any]) -> None:
    _repeat(
        context,
        "packages",
        lambda: context.run_uv(
            *("pip", "install", "--python", str(context.python), "--require-hashes", "--no-deps"),
            *("--only-binary", ":all:", "--default-index", context.sources.pypi),
            *("-r", str(context.engine.lock_file)),
        ),
    )


def _packages_intact(context: Context) -> bool:
    """Nothing of the lock is there in another version, and its first pins are there."""
    installed = _installed(context)
    wanted: dict[str, set[str]] = {}
    for name, version in _PIN.findall(context.engine.lock_file.read_text("utf-8")):
        wanted.setdefault(name.lower().replace("_", "-"), set()).add(version)
    if any(name in installed and installed[name] not in versions for name, versions in wanted.items()):
        return False
    return all(module in installed for module in context.engine.imports)


def _installed(context: Context) -> dict[str, str]:
    outcome = context.runner.capture(
        [str(context.python), "-I", "-c", _LIST], timeout_s=_PROBE_S, env=child_environment()
    )
    try:
        found = json.loads(outcome.lines[-1]) if outcome.status == 0 else {}
    except (IndexError, ValueError):
        found = {}
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


# --- self-test -----------------------------------------------------------------------------------


def _self_test(context: Context, facts: dict[str, Any]) -> None:
    probe = Path(__file__).with_name("probe.py")
    outcome = context.runner.capture(
        [str(context.python), "-I", str(probe), *context.engine.imports],
        timeout_s=_SELF_TEST_S,
        env=child_environment({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
    )
    try:
        found = json.loads(outcome.lines[-1])
        error = found["error"]
    except (IndexError, ValueError, KeyError, TypeError):
        raise _failed("self-test", "The new environment does not start.", outcome) from None
    if error:
        raise LauncherError(
            Exit.DEPENDENCIES,
            "Step “self-test” failed. The packages are installed but cannot be used.",
            details=(str(error),),
            fix="run this again with --repair; if it stays so, report it with the line above.",
            fix_zh="请加 --repair 再次运行；若仍失败，请附上上面的内容反馈。",
        )
    if not found["gpu"]:
        if context.gpu is None:
            raise no_gpu(context)
        raise LauncherError(
            Exit.GPU_UNSUPPORTED,
            f"Step “self-test” failed. PyTorch {found['torch']} does not see {context.gpu.name}.",
            fix="update the NVIDIA driver and restart; then run this again.",
            fix_zh="请更新 NVIDIA 驱动并重启，然后再次运行。",
        )
    if not found["computed"]:
        raise LauncherError(
            Exit.GPU_UNSUPPORTED,
            f"Step “self-test” failed. {found['gpu']} computes wrong results.",
            fix="update the NVIDIA driver; a card that still does this is broken or overclocked too far.",
            fix_zh="请更新 NVIDIA 驱动；若仍出现，显卡可能损坏或超频过高。",
        )
    facts["gpu"] = str(found["gpu"])


def no_gpu(context: Context) -> LauncherError:
    """Everything that needs no GPU is done; this is where one is needed."""
    others = context.graphics.others
    seen = f" Found: {', '.join(others)}." if others else ""
    trouble = context.graphics.trouble
    return LauncherError(
        Exit.NO_GPU,
        f"{context.engine.title} needs an NVIDIA GPU, and none was found.{seen}",
        details=(f"nvidia-smi: {trouble}",) if trouble else (),
        fix="install the NVIDIA driver and run this again: it goes on from here. Without such a card, use another "
        "engine. (--torch 2.10.0+cu128 installs everything all the same.)",
        fix_zh="请安装 NVIDIA 驱动后再次运行，会从这里继续。没有 NVIDIA 显卡时请使用其他引擎。",
    )


# --- shared --------------------------------------------------------------------------------------


def _repeat(context: Context, step: str, call: Callable[[], Outcome]) -> None:
    """Call up to ATTEMPTS times while the network is the trouble. Raises LauncherError."""
    outcome = Outcome(-1)
    for attempt in range(1, ATTEMPTS + 1):
        outcome = call()
        if outcome.status == 0:
            return
        if not cause_of(outcome.text).is_network or attempt == ATTEMPTS:
            break
        context.console.warn(
            f"The connection failed; try {attempt + 1} of {ATTEMPTS} in {PAUSE_BETWEEN_ATTEMPTS_S:.0f} s"
        )
        time.sleep(PAUSE_BETWEEN_ATTEMPTS_S)
    cause = cause_of(outcome.text)
    raise LauncherError(
        cause.status,
        f"Step “{step}” failed. {cause.message}",
        details=outcome.lines[-6:],
        fix=cause.fix,
        fix_zh=cause.fix_zh,
    )


def _failed(step: str, message: str, outcome: Outcome) -> LauncherError:
    cause = cause_of(outcome.text)
    return LauncherError(
        cause.status,
        f"Step “{step}” failed. {message}",
        details=outcome.lines[-6:],
        fix=cause.fix,
        fix_zh=cause.fix_zh,
    )


STEPS = (
    Step("uv", "uv, which installs the rest", lambda c: lock_digest(UV_LOCK), _uv_intact, _install_uv, 25),
    Step(
        "python",
        "a Python for the engine",
        lambda c: [c.engine.pythons, c.private_python],
        _python_intact,
        _ensure_python,
        35,
    ),
    Step(
        "environment", "its environment", lambda c: str(c.environment), _environment_intact, _make_environment
    ),
    Step(
        "torch",
        "PyTorch for the graphics card",
        lambda c: [c.torch.label if c.torch else None, c.engine.torch_packages],
        _torch_intact,
        _install_torch,
        3_500,
        needs_gpu=True,
    ),
    Step(
        "packages",
        "the engine's packages",
        lambda c: lock_digest(c.engine.lock_file),
        _packages_intact,
        _install_packages,
        250,
    ),
    Step(
        "self-test",
        "a self-test on the graphics card",
        lambda c: [c.gpu.name if c.gpu else None, c.engine.imports],
        lambda c: True,
        _self_test,
        needs_gpu=True,
    ),
)
