"""PyTorch for the processor alone, in the environment of an engine's tests. Runs in the system's Python.

The package index has only builds that bring gigabytes of CUDA libraries on Linux. The one for the processor comes from
PyTorch's own index, or from wherever pip is set to look besides. It stands in no lock: its hash differs from place to place.
"""

from __future__ import annotations

import os
import sys

from launcher import dotenv
from launcher.console import Console
from launcher.dependencies import classify
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome, Runner
from launcher.project import EnvironmentSpec, child_environment, python_of

VERSION = "2.13.0"
# macOS has one build, which has no CUDA in it.
BUILD = VERSION if sys.platform == "darwin" else f"{VERSION}+cpu"
INDEX = "https://download.pytorch.org/whl"
INDEX_SETTING = "TORCH_INDEX_URL"
_PROBE_S = 60.0
_ASK = "import importlib.metadata as m; print(m.version('torch'))"


def ensure_torch(spec: EnvironmentSpec, runner: Runner, console: Console) -> bool:
    """Install it unless it is there. True when pip ran. Raises LauncherError."""
    python = str(python_of(spec.folder))
    found = runner.capture([python, "-c", _ASK], timeout_s=_PROBE_S, env=child_environment())
    if found.status == 0 and found.lines and found.lines[-1].strip() == BUILD:
        console.ok(f"PyTorch {BUILD} is there")
        return False
    console.doing(f"Installing PyTorch {BUILD}: about 200 MB")
    # Its requirements stand in the lock; without --no-deps pip would look them up again elsewhere.
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
        f"torch=={BUILD}",
    ]
    root = spec.folder.parent
    index = os.environ.get(INDEX_SETTING) or dotenv.read_value(root / ".env", INDEX_SETTING) or INDEX
    outcome = Outcome(-1)
    # Where pip is set to look already first: PyTorch's own index is far away for many.
    for arguments in ([], ["--extra-index-url", f"{index.rstrip('/')}/cpu"]):
        outcome = runner.stream([*command, *arguments], cwd=root, env=child_environment())
        if outcome.status == 0:
            console.ok(f"PyTorch {BUILD} is installed")
            return True
    cause = classify(outcome.text)
    raise LauncherError(
        Exit.DEPENDENCIES,
        f"PyTorch {BUILD} could not be installed. {cause.message}",
        details=outcome.lines[-6:],
        fix=f"set {INDEX_SETTING} in .env to a mirror of {INDEX}; `--quick` does without it.",
        fix_zh=f"请在 .env 中把 {INDEX_SETTING} 设为 {INDEX} 的镜像；`--quick` 不需要它。",
    )
