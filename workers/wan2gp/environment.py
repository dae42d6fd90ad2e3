"""What importing upstream does to a process, and what is put right around it. Runs in the wan2gp worker.

Upstream changes the environment, `sys.argv` and the working directory, downloads ffmpeg when it finds none, and would
fetch tens of gigabytes of weights with the first job. Here the network is shut for weights, its tools are found
beforehand, and what it changed is put back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from workers.handler import TaskError

# Upstream's import of one model family sends every later download of this process and its children to a mirror of its
# own choice; the rest is ours to decide.
_PROTECTED = (
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "CUDA_VISIBLE_DEVICES",
    "PYTHONUTF8",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
# Weights come through the product's model service only, where they are checked and their progress is seen.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_TOOLS = ("ffmpeg", "ffprobe")
# Where the installer lays them, except on Windows. Not into upstream's own folder: there it would want libraries too.
_TOOLS_FOLDER = Path("tools", "ffmpeg")
# On Windows upstream looks into this folder of its own only, and wants the player too.
_WINDOWS_FOLDER = "ffmpeg_bins"
_WINDOWS_TOOLS = ("ffmpeg.exe", "ffprobe.exe", "ffplay.exe")
_INSTALLER = "Run install_wan2gp again; it repairs what is missing."


def shut_the_network() -> None:
    """No library of this process downloads weights. Must run before the first of them is imported."""
    os.environ.update(_OFFLINE)


class KeptEnvironment:
    """The variables that upstream must not decide, as they were when this was made."""

    def __init__(self) -> None:
        self._values = {name: os.environ.get(name) for name in _PROTECTED}

    def restore(self) -> None:
        """Put them back; cheap, called after everything that lets upstream import something."""
        for name, value in self._values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def kept_process() -> Iterator[None]:
    """`sys.argv` and the working directory as they were, whatever happens inside."""
    argv, folder = list(sys.argv), Path.cwd()
    # Upstream's argument parser reads the command line of the process that imports it.
    sys.argv = [argv[0] if argv else "host.py"]
    try:
        yield
    finally:
        sys.argv = argv
        os.chdir(folder)


def provide_tools(root: Path) -> None:
    """Make ffmpeg and ffprobe findable for upstream, so that it does not download them.

    Raises TaskError(import_failed) when there are none.
    """
    if os.name == "nt":
        missing = [name for name in _WINDOWS_TOOLS if not (root / _WINDOWS_FOLDER / name).is_file()]
        if missing:
            raise TaskError(
                "import_failed",
                f"Wan2GP lacks {', '.join(missing)}. {_INSTALLER}",
                detail=f"not in {_WINDOWS_FOLDER}: {missing}",
            )
        return
    # First: what else is called ffmpeg on this machine may be anything.
    os.environ["PATH"] = os.pathsep.join([str(root / _TOOLS_FOLDER), os.environ.get("PATH", os.defpath)])
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing:
        raise TaskError(
            "import_failed",
            f"Wan2GP finds no {' and no '.join(missing)}. {_INSTALLER}",
            detail=f"not on PATH: {missing}",
        )
