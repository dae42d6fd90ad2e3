"""What goes into a worker supervisor and what comes out: plain values. Service process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from backend.engines.process_tree import ProcessIdentity
from backend.engines.protocol import PROTOCOL_VERSION, InitFields, RunFields


@dataclass(frozen=True)
class WorkerLimits:
    """Deadlines of one worker, in seconds. Tests shorten them; the product keeps these."""

    # The ladder: ask, then TERM, then KILL of the whole tree. GPU engines see a request at the next
    # denoising step, which may take most of 20 s; the sum keeps "cancelled within 30 s".
    cancel_grace_s: float = 20.0
    term_grace_s: float = 5.0
    kill_grace_s: float = 5.0
    # Silence, heartbeats included. Native code may hold the interpreter's lock for minutes, so a missing
    # heartbeat alone never kills; this long is a deadlock.
    quiet_loading_s: float = 300.0
    quiet_running_s: float = 600.0
    heartbeat_s: float = 2.0
    # How long the last log lines of a task may take to arrive after its result.
    drain_s: float = 1.0
    # How soon a cancel or a deadline is noticed.
    poll_s: float = 0.1
    idle_check_s: float = 1.0


@dataclass(frozen=True)
class WorkerSpec:
    """How to start one engine's worker. Paths are absolute.

    `env` is the service's environment (from its settings): only an allow-listed part of it and
    `extra_env` reach the worker. `idle_unload_s` = 0 keeps the process for ever;
    `recycle_after_tasks` = 0 never replaces it for its age. `title` is the engine's name for people.
    """

    name: str
    python: Path
    handler: str
    host_script: Path
    work_dir: Path
    models_dir: Path
    cache_dir: Path
    engine_root: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    extra_env: Mapping[str, str] = field(default_factory=dict)
    device: Mapping[str, Any] | None = None
    title: str | None = None
    start_timeout_s: float = 600.0
    # A Python on a hard disk, looked at by a virus scanner while other workers start, is slow to say its first word; one
    # that cannot start ends at once and is not waited for.
    hello_timeout_s: float = 60.0
    idle_unload_s: float = 600.0
    recycle_after_tasks: int = 50
    limits: WorkerLimits = field(default_factory=WorkerLimits)

    def argv(self) -> list[str]:
        """The command line. Flags, not variables: embeddable interpreters ignore PYTHON* variables."""
        return [str(self.python), "-X", "utf8", "-u", str(self.host_script), "--handler", self.handler]

    def init_fields(self, worker_id: str) -> InitFields:
        """What `init` tells the worker."""
        return {
            "protocol": PROTOCOL_VERSION,
            "worker_id": worker_id,
            "parent_pid": os.getpid(),
            "engine": self.name,
            "engine_root": str(self.engine_root) if self.engine_root else None,
            "device": dict(self.device) if self.device is not None else None,
            "dirs": {
                "work": str(self.work_dir),
                "models": str(self.models_dir),
                "cache": str(self.cache_dir),
            },
            "heartbeat_s": self.limits.heartbeat_s,
            "options": dict(self.options),
        }


@dataclass(frozen=True)
class TaskRequest:
    """One attempt. `output_dir` exists, is empty and belongs to this attempt alone.

    `deadline_s` counts from the moment the worker is asked; waiting for its turn and for the worker to
    load does not count. When `deadline_moves` it counts anew from each step forward.
    """

    job_id: str
    attempt: int
    task: str
    inputs: Mapping[str, Path]
    params: Mapping[str, Any]
    output_dir: Path
    deadline_s: float
    seed: int = 0
    model: str | None = None
    # A GPU with less memory is taken only when none has more. For the pool; the worker is not told.
    min_vram_mib: int = 0
    # Nobody waits for it: it keeps away from the process that jobs and previews use.
    is_background: bool = False
    deadline_moves: bool = False

    def run_fields(self) -> RunFields:
        """What `run` tells the worker."""
        return {
            "job_id": self.job_id,
            "attempt": self.attempt,
            "task": self.task,
            "model": self.model,
            "inputs": {name: str(path) for name, path in self.inputs.items()},
            "params": dict(self.params),
            "output_dir": str(self.output_dir),
            "seed": self.seed,
            "deadline_s": self.deadline_s,
        }


@dataclass(frozen=True)
class ProgressUpdate:
    """Real progress: `fraction` 0..1, or None when the engine does not know."""

    fraction: float | None
    message: str
    stage: str
    step: int | None
    steps: int | None
    eta_s: float | None


@dataclass(frozen=True)
class WorkerArtifact:
    """A finished file; `path` is absolute, free of links and inside the attempt's `output_dir`."""

    role: str
    path: Path
    bytes: int
    sha256: str
    media_type: str
    width: int | None
    height: int | None
    fps: float | None
    duration_s: float | None


@dataclass(frozen=True)
class TaskResult:
    """What a successful task returned. `metrics` holds load_s, run_s and peak_vram_mib."""

    data: dict[str, Any]
    artifacts: tuple[WorkerArtifact, ...]
    metrics: dict[str, Any]


@dataclass(frozen=True)
class WorkerSnapshot:
    """A worker at one moment. `state` is one of: stopped (no process), starting, importing, loading,
    idle, running, cancelling, unloading, stopping, unavailable (resting after repeated failures).

    `quiet_s` is the time since the worker was last heard of; `unavailable_until_ms` is ms UTC.
    """

    name: str
    state: str
    worker_id: str | None = None
    pid: int | None = None
    rss_mib: float | None = None
    quiet_s: float | None = None
    job_id: str | None = None
    restarts: int = 0
    tasks_done: int = 0
    last_error: str | None = None
    unavailable_until_ms: int | None = None
    ready: Mapping[str, Any] = field(default_factory=dict)


class WorkerObserver(Protocol):
    """Hears of processes, on the event loop, so that the service can note them for the next start's
    sweep. Must not block."""

    def worker_spawned(self, identity: ProcessIdentity) -> None: ...

    def worker_died(self, identity: ProcessIdentity, exit_code: int | None) -> None: ...
