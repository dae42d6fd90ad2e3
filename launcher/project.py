"""Where things lie in a checkout, and the environment that child processes get."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# First argument of the packaged executable when it starts itself; see launcher/frozen.py.
RUN_MODULE = "--run-module"

# Variables of the user's shell that make pip or Python look outside the virtual environment.
_FOREIGN = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONSAFEPATH",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
)


@dataclass(frozen=True)
class EnvironmentSpec:
    """One virtual environment: its folder, the lock that fills it, and words for its messages."""

    folder: Path
    lock: Path
    title: str
    # Free disk that must be there before an install starts, MiB: twice what the finished folder takes,
    # because wheels are downloaded and unpacked side by side.
    needs_mib: int
    # What the lock's packages require beside each other and is not in it: it comes by itself.
    comes_by_itself: str | None = None


def runtime_environment(root: Path = ROOT) -> EnvironmentSpec:
    """`.venv`: what a user needs to run the service."""
    return EnvironmentSpec(root / ".venv", root / "requirements.lock", "dependencies", 1500)


def test_environment(root: Path = ROOT, name: str = ".venv-test") -> EnvironmentSpec:
    """`.venv-test`: the same, plus test tools; apart, so that a user's `.venv` stays lean."""
    return EnvironmentSpec(root / name, root / "requirements-dev.lock", "test dependencies", 2000)


def engine_test_environment(root: Path = ROOT) -> EnvironmentSpec:
    """`.venv-test-infinitetalk`: what the tests of that engine need; PyTorch comes by itself (launcher/torch_cpu.py)."""
    lock = root / "installer" / "locks" / "infinitetalk-test.lock"
    folder, title = root / ".venv-test-infinitetalk", "InfiniteTalk test dependencies"
    return EnvironmentSpec(folder, lock, title, 3000, comes_by_itself="torch")


def build_environment(root: Path = ROOT) -> EnvironmentSpec:
    """`.venv-build`: the dependencies and PyInstaller, for build.py."""
    return EnvironmentSpec(root / ".venv-build", root / "requirements-build.lock", "build dependencies", 2500)


def recogniser_environment(root: Path = ROOT) -> EnvironmentSpec:
    """`.venv-listen`: the optional recogniser that hears speech back; apart, so that its runtime meets nobody's."""
    return EnvironmentSpec(root / ".venv-listen", root / "requirements-listen.lock", "recogniser", 1200)


def module_command(module: str, *arguments: str) -> list[str]:
    """How this program starts one of its own modules: by `-m`, or by the packaged executable's own word."""
    word = RUN_MODULE if getattr(sys, "frozen", False) else "-m"
    return [sys.executable, word, module, *arguments]


def python_of(folder: Path) -> Path:
    """The interpreter inside a virtual environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would break isolation, in UTF-8 mode, plus `extra`."""
    env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    env.update({"PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PIP_USER": "0"})
    env.update(extra or {})
    return env
