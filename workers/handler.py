"""The contract between the worker host and an engine's handler. Standard library only.

A handler package `workers/<name>/handler.py` offers `create_handler() -> Handler`; it may import
heavy packages only inside `load()` and later. One task runs at a time, on the main thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class TaskError(Exception):
    """A task failed for a reason the product knows. `code` is one of the product's error codes.

    `message` is a sentence for a person without paths; `detail` is for the log. `poisons_worker`
    says that this process must not be given another task.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        detail: str = "",
        retryable: bool = False,
        poisons_worker: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.retryable = retryable
        self.poisons_worker = poisons_worker


class TaskCancelled(BaseException):
    """Raised by `TaskContext.raise_if_cancelled()`; BaseException so that no handler swallows it."""


@dataclass(frozen=True)
class WorkerSetup:
    """What `init` told this worker. Directories exist when the handler sees them."""

    engine: str
    engine_root: Path | None
    work_dir: Path
    models_dir: Path
    cache_dir: Path
    device: Mapping[str, Any] | None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One unit of work. All outputs go below `output_dir`, an empty directory of this attempt."""

    job_id: str
    attempt: int
    task: str
    model: str | None
    inputs: Mapping[str, Path]
    params: Mapping[str, Any]
    output_dir: Path
    seed: int


class TaskContext(Protocol):
    """What a running task may tell the service."""

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
        """Report real progress, `fraction` in 0..1 or None when unknown. Throttled by the host."""

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
        """Hand over a finished file below `output_dir`; the host hashes it."""

    def log(self, level: str, message: str) -> None:
        """One structured log line. Levels: debug, info, warning, error."""

    @property
    def cancelled(self) -> bool:
        """Whether the service asked this task to stop."""

    def raise_if_cancelled(self) -> None:
        """Raise `TaskCancelled` when asked to stop. Call it at least every 0.5 s."""


class Handler(Protocol):
    """One engine inside its worker process."""

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Import and load; returns fields for `ready` (`engine_version`, `models`, `devices`)."""

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task; returns small JSON data for the result. Raises `TaskError`."""

    def unload(self) -> None:
        """Drop models; the process stays alive."""
