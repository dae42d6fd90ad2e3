"""One running task as the host sees it: its fence, its progress, its artifacts. Worker process.

Standard library only. `HostContext` is the `TaskContext` handed to `Handler.run`; the host's reader
thread raises its cancel flag, the pulse thread sends the progress that throttling held back.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from pathlib import Path
from typing import Any

from workers.channel import Channel
from workers.handler import Task, TaskCancelled, TaskError

# Five progress messages a second are smooth to the eye and cost nothing.
PROGRESS_INTERVAL_S = 0.2
# Progress and log texts are for one line on a screen.
_MESSAGE_CHARS = 500
_LOG_CHARS = 8000
_LEVELS = frozenset({"debug", "info", "warning", "error"})
_HASH_BYTES = 1024 * 1024


class HostContext:
    """The `TaskContext` of one attempt. Safe to call from the task's own helper threads."""

    def __init__(self, channel: Channel, task: Task, wake_pulse: threading.Event) -> None:
        self.task = task
        self._channel = channel
        self._wake_pulse = wake_pulse
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._held: dict[str, Any] | None = None
        self._sent_at = -math.inf
        self.active_at = time.monotonic()

    # --- the host's side -----------------------------------------------------------------------

    def names(self, job_id: object, attempt: object) -> bool:
        """The fence: whether a message means this very attempt."""
        return (job_id, attempt) == (self.task.job_id, self.task.attempt)

    def cancel(self) -> None:
        """Raise the flag. Idempotent."""
        self._cancel.set()

    def flush_progress(self, *, only_due: bool = False) -> float | None:
        """Send the held-back progress; with `only_due`, only if its time has come.

        Returns the seconds until it is due, or None when nothing is held back.
        """
        with self._lock:
            if self._held is None:
                return None
            wait_s = self._sent_at + PROGRESS_INTERVAL_S - time.monotonic()
            if only_due and wait_s > 0:
                return wait_s
            self._send_held()
            return None

    def _send_held(self) -> None:
        # Called with the lock held, so that progress is sent in the order it was reported.
        if self._held is not None:
            self._channel.send("progress", **self._held)
            self._held = None
            self._sent_at = time.monotonic()

    # --- the handler's side (TaskContext) ------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def raise_if_cancelled(self) -> None:
        if self._cancel.is_set():
            raise TaskCancelled

    def progress(
        self,
        fraction: float | None,
        message: str = "",
        *,
        stage: str = "",
        step: int | None = None,
        steps: int | None = None,
        eta_s: float | None = None,
    ) -> None:
        self.active_at = time.monotonic()
        with self._lock:
            self._held = {
                "job_id": self.task.job_id,
                "attempt": self.task.attempt,
                "stage": str(stage),
                "fraction": _clamped(fraction),
                "step": None if step is None else int(step),
                "steps": None if steps is None else int(steps),
                "eta_s": _finite(eta_s),
                "message": str(message)[:_MESSAGE_CHARS],
            }
            if time.monotonic() - self._sent_at >= PROGRESS_INTERVAL_S:
                self._send_held()
                return
        self._wake_pulse.set()

    def artifact(
        self,
        role: str,
        path: Path,
        *,
        media_type: str,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        root = self.task.output_dir.resolve()
        real = Path(path).resolve()
        if not real.is_relative_to(root) or real == root:
            raise TaskError(
                "internal_error",
                "The engine offered a file outside the folder of its job.",
                detail=f"artifact {role!r} is not below the output directory",
            )
        if not real.is_file():
            raise TaskError(
                "no_output",
                "The engine said it was done but left no file.",
                detail=f"artifact {role!r} is not a regular file",
            )
        size, digest = _measure(real)
        self.active_at = time.monotonic()
        self.flush_progress()
        self._channel.send(
            "artifact",
            job_id=self.task.job_id,
            attempt=self.task.attempt,
            role=str(role),
            path=real.relative_to(root).as_posix(),
            bytes=size,
            sha256=digest,
            media_type=str(media_type),
            width=None if width is None else int(width),
            height=None if height is None else int(height),
            fps=_finite(fps),
            duration_s=_finite(duration_s),
        )

    def log(self, level: str, message: str) -> None:
        self.active_at = time.monotonic()
        self._channel.send(
            "log",
            level=level if level in _LEVELS else "info",
            logger=self.task.task,
            message=str(message)[:_LOG_CHARS],
            job_id=self.task.job_id,
        )


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_HASH_BYTES):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity; an unknown number is null."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def _clamped(fraction: float | None) -> float | None:
    known = _finite(fraction)
    return None if known is None else min(1.0, max(0.0, known))
