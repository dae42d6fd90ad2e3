"""What can go wrong before the service runs, and the exit status of each.

LauncherError is the only exception that a step raises on purpose. Its text is for a person: what happened,
and how to go on, in English and Chinese.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the scripts. Stable: other scripts may switch on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PYTHON = 3
    ENVIRONMENT = 4
    DEPENDENCIES = 5
    PORT = 6
    MODEL = 7
    SETTINGS = 8
    DEMO = 9
    NO_GPU = 10
    GPU_UNSUPPORTED = 11
    DISK = 12
    INTERRUPTED = 130


class LauncherError(Exception):
    """A step failed. `fix` and `fix_zh` tell what to do; `details` are extra lines such as last output."""

    def __init__(
        self,
        status: Exit,
        message: str,
        *,
        fix: str,
        fix_zh: str,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fix = fix
        self.fix_zh = fix_zh
        self.details = details
