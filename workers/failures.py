"""From an exception inside a task to the `error` of its result. Worker process.

Standard library only. The host names what it can see by type; what only the text tells (CUDA faults)
is left to the service's table in `backend/engines/classify.py`, which reads `detail`.
"""

from __future__ import annotations

import errno
from typing import Any

from workers.handler import TaskError

# Enough for the sentence a library raises; tracebacks go to the log pipe.
_DETAIL_CHARS = 2000

_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_DISK_FULL_WINERRORS = frozenset({39, 112})  # ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL


def error_fields(error: BaseException) -> dict[str, Any]:
    """`{code, message, detail, retryable, poisons_worker}`; an empty message means "use the table's"."""
    if isinstance(error, TaskError):
        return _fields(
            error.code,
            message=error.message,
            detail=error.detail,
            retryable=error.retryable,
            poisons_worker=error.poisons_worker,
        )
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        # The heap may be fragmented beyond use: the next task gets a fresh process.
        return _fields("host_oom", detail=detail, poisons_worker=True)
    if is_disk_full(error):
        return _fields("disk_full", detail=detail)
    if _is_torch_oom(error):
        return _fields("gpu_oom", detail=detail, poisons_worker=True)
    # SystemExit and the like: a library that wanted to end the process has left it in an unknown state.
    return _fields("internal_error", detail=detail, poisons_worker=not isinstance(error, Exception))


def is_disk_full(error: BaseException) -> bool:
    """Whether the error says that no byte more can be written."""
    return isinstance(error, OSError) and (
        error.errno in _DISK_FULL_ERRNOS or getattr(error, "winerror", None) in _DISK_FULL_WINERRORS
    )


def _is_torch_oom(error: BaseException) -> bool:
    # By name: the host must not import torch. torch.OutOfMemoryError was torch.cuda.OutOfMemoryError.
    return any(
        cls.__name__ == "OutOfMemoryError" and cls.__module__.split(".")[0] == "torch"
        for cls in type(error).__mro__
    )


def _fields(
    code: str, *, message: str = "", detail: str = "", retryable: bool = False, poisons_worker: bool = False
) -> dict[str, Any]:
    return {
        "code": code,
        "message": message[:_DETAIL_CHARS],
        "detail": detail[:_DETAIL_CHARS],
        "retryable": retryable,
        "poisons_worker": poisons_worker,
    }
