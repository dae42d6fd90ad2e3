"""Makes the single-file executable: `python build.py [--check]` -> dist/All-in-one (or All-in-one.exe).

Makes `.venv-build` from requirements-build.lock with the launcher's own steps, then runs PyInstaller on
All-in-one.spec. `--check` lets the result make the demo video in a temporary folder. Not tested on Windows and macOS.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from launcher import cli
from launcher.console import Console, prepare_streams
from launcher.errors import LauncherError
from launcher.process import SystemRunner
from launcher.project import ROOT, build_environment, child_environment, python_of

SPEC = "All-in-one.spec"
EXECUTABLE = "All-in-one.exe" if os.name == "nt" else "All-in-one"


def build(console: Console) -> int:
    """Prepare the build environment and run PyInstaller; returns its exit status."""
    runner = SystemRunner()
    spec = build_environment()
    cli.prepare(spec, runner, console)
    console.doing(f"PyInstaller makes dist/{EXECUTABLE}: some minutes")
    command = [str(python_of(spec.folder)), "-m", "PyInstaller", "--noconfirm", "--clean", SPEC]
    return runner.handover(command, cwd=ROOT, env=child_environment())


def check(console: Console) -> int:
    """Let a copy of the executable, alone in a folder, make the demo video; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="all-in-one 测试 ") as folder:
        copy = Path(folder) / EXECUTABLE
        shutil.copy2(ROOT / "dist" / EXECUTABLE, copy)
        console.doing("The executable makes the demo video")
        command = [str(copy), "--demo"]
        return subprocess.run(command, cwd=folder, env=child_environment(), check=False).returncode  # noqa: S603


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the executable is made (and, with --check, works)."""
    parser = argparse.ArgumentParser(description="Makes the single-file executable.")
    parser.add_argument("--check", action="store_true", help="let the result make the demo video")
    options = parser.parse_args(arguments)
    prepare_streams()
    console = Console()
    try:
        status = build(console)
    except LauncherError as error:
        console.fail(error)
        return error.status
    if status == 0 and options.check:
        status = check(console)
    if status == 0:
        console.ok(f"dist/{EXECUTABLE}")
    return status


if __name__ == "__main__":
    sys.exit(main())
