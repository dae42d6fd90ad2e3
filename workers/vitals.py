"""What a worker knows about its own body: its parent, its memory, its GPU memory. Worker process.

Standard library only. Nothing here may raise: vitals are reported when known and left out when not.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

_MIB = 1024 * 1024
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent_pid: int) -> bool:
    """Ask the kernel to kill this process when its parent dies; False when the parent is gone already.

    Linux only; elsewhere end-of-file on stdin and `is_orphan` are the nets. The comparison with the
    announced pid, made *after* prctl, closes the race in which the parent died before the call. A
    comparison with 1 would be wrong: orphans may be adopted by any sub-reaper. See prctl(2).
    """
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    return not is_orphan(parent_pid)


def is_orphan(parent_pid: int) -> bool:
    """Whether another process than the announced one is our parent.

    Never on Windows: there the interpreter of a virtual environment is started by a launcher, so the
    parent is not the service; the Job Object does this work (not tested on Windows).
    """
    return sys.platform != "win32" and os.getppid() != parent_pid


def rss_mib() -> float | None:
    """Resident memory of this process in MiB, or None where it cannot be read cheaply (not Linux)."""
    if sys.platform != "linux":
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / _MIB, 1)
    except (OSError, ValueError, IndexError):
        return None


def vram_mib() -> tuple[float | None, float | None]:
    """(used, peak) MiB of GPU memory by torch's allocator; None when torch is not in use here.

    Looks only at a torch that the engine has imported and initialised already: asking earlier would
    create a CUDA context from the wrong thread.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None, None
    try:
        if not torch.cuda.is_initialized():
            return None, None
        return (
            round(torch.cuda.memory_allocated() / _MIB, 1),
            round(torch.cuda.max_memory_allocated() / _MIB, 1),
        )
    except (AttributeError, RuntimeError, TypeError, ValueError):  # half-imported, or a broken driver
        return None, None
