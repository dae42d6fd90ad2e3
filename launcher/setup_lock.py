"""One start at a time prepares the environment; a second one waits for it.

Two windows that are opened at once must not both write `.venv`. The lock belongs to the process: the
operating system frees it when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from launcher.console import Console
from launcher.errors import Exit, LauncherError

LOCK_NAME = ".setup.lock"
# A first installation over a slow line; after that the other start is stuck and somebody should look.
WAIT_S = 3600.0
_POLL_S = 0.5


@contextlib.contextmanager
def setup_lock(root: Path, console: Console, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock file of `root` while preparing. Raises LauncherError when another start keeps it."""
    try:
        handle = os.open(root / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"The folder {root} cannot be written: {error}",
            fix="put the project in a folder of your own (not Program Files, not a ZIP window), start again.",
            fix_zh="请把项目放在自己有写权限的文件夹中（不要放在 Program Files 或压缩包窗口里），再次启动。",
        ) from error
    try:
        _acquire(handle, console, wait_s)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, console: Console, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while not _try_lock(handle):
        if not told:
            console.doing("Another start is preparing this folder; waiting for it")
            told = True
        if time.monotonic() >= deadline:
            raise LauncherError(
                Exit.ENVIRONMENT,
                "Another start has been preparing this folder for too long.",
                fix="close the other All-in-one window, then start again.",
                fix_zh="请关闭另一个 All-in-one 窗口，然后再次启动。",
            )
        time.sleep(_POLL_S)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
