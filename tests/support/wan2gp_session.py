"""An upstream session of a few lines, in memory: plays events, writes files, hears of cancels. For unit tests."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workers.handler import TaskCancelled
from workers.wan2gp.environment import KeptEnvironment
from workers.wan2gp.session import Engine


@dataclass(frozen=True)
class Said:
    """One event."""

    kind: str
    data: Any = None


def progress(status: str, step: int | None = None, steps: int | None = None) -> Said:
    data = SimpleNamespace(status=status, current_step=step, total_steps=steps, phase="decoding", progress=90)
    return Said("progress", data)


def printed(text: str) -> Said:
    return Said("stream", SimpleNamespace(stream="stdout", text=text))


def failed(message: str, stage: str = "generation") -> SimpleNamespace:
    return SimpleNamespace(message=message, stage=stage, cancelled=stage == "cancelled")


@dataclass
class Script:
    """What one generation does. `waits`: it ends only when it is cancelled. `never_ends`: no result, ever."""

    events: Sequence[Said] = ()
    errors: Sequence[SimpleNamespace] = ()
    write: Callable[[Path, Mapping[str, Any]], Sequence[Path]] | None = None
    success: bool = True
    waits: bool = False
    never_ends: bool = False


def writes_one_file(folder: Path, settings: Mapping[str, Any]) -> list[Path]:
    path = folder / f"{settings['output_filename']}.mp4"
    path.write_bytes(b"film")
    return [path]


class Stream:
    """The events of a job, with upstream's habit of answering None for two reasons."""

    def __init__(self) -> None:
        self._items: queue.Queue[Said | None] = queue.Queue()
        self.closed = False
        self.taken = 0

    def put(self, item: Said) -> None:
        self._items.put(item)

    def close(self) -> None:
        self.closed = True
        self._items.put(None)

    def get(self, timeout: float | None = None) -> Said | None:
        try:
            item = self._items.get(timeout=timeout)
        except queue.Empty:
            return None
        self.taken += item is not None
        return item


class ScriptedJob:
    """Plays a script on a thread of its own, as upstream does."""

    def __init__(self, script: Script, folder: Path, settings: Mapping[str, Any]) -> None:
        self.events = Stream()
        self.cancelled = threading.Event()
        self._done = threading.Event()
        self._result: SimpleNamespace | None = None
        self._thread = threading.Thread(target=self._play, args=(script, folder, settings), daemon=True)
        self._thread.start()

    def _play(self, script: Script, folder: Path, settings: Mapping[str, Any]) -> None:
        for event in script.events:
            self.events.put(event)
        errors = list(script.errors)
        if script.waits:
            self.cancelled.wait(20)
            errors.append(failed("Generation was cancelled", "cancelled"))
        files = script.write(folder, settings) if script.write is not None else ()
        self._result = SimpleNamespace(
            success=script.success and not errors,
            generated_files=[str(path) for path in files],
            errors=errors,
            cancelled=bool(errors) and all(error.cancelled for error in errors),
        )
        if not script.never_ends:
            self._done.set()
        self.events.close()

    def cancel(self) -> None:
        self.cancelled.set()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> Any:
        if not self._done.wait(0 if not self._done.is_set() else timeout):
            raise TimeoutError("job timed out")
        return self._result


@dataclass
class ScriptedSession:
    """A session that plays its scripts in order, the last one for ever."""

    folder: Path
    scripts: list[Script]
    known: frozenset[str] | None = None
    submitted: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[ScriptedJob] = field(default_factory=list)
    closed: int = 0

    def submit_task(self, settings: dict[str, Any]) -> ScriptedJob:
        self.submitted.append(settings)
        script = self.scripts[0] if len(self.scripts) == 1 else self.scripts.pop(0)
        self.jobs.append(ScriptedJob(script, self.folder, settings))
        return self.jobs[-1]

    def get_model_def(self, model_type: str) -> dict[str, Any] | None:
        return {"name": model_type} if self.known is None or model_type in self.known else None

    def close(self) -> None:
        self.closed += 1


def scripted_engine(
    tmp_path: Path, *scripts: Script, known: frozenset[str] | None = None
) -> tuple[Engine, ScriptedSession]:
    """An engine whose every session is the one that is returned with it."""
    session = ScriptedSession(tmp_path, list(scripts), known)

    def init(*, output_dir: Path, **_: Any) -> ScriptedSession:
        session.folder = output_dir
        return session

    engine = Engine(
        init,
        root=tmp_path,
        config_path=tmp_path / "wgp_config.json",
        environment=KeptEnvironment(),
        folder=tmp_path / "first",
    )
    return engine, session


class Listener:
    """A task's context that remembers. `cancel_after` asks for the end once so many reports were made."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.reports: list[tuple[float | None, str]] = []
        self.artifacts: list[tuple[str, Path, dict[str, Any]]] = []
        self.cancelled = False
        self._cancel_after = cancel_after

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        self.reports.append((fraction, message))
        if self._cancel_after is not None and len(self.reports) >= self._cancel_after:
            self.cancelled = True

    def artifact(self, role: str, path: Path, **facts: Any) -> None:
        self.artifacts.append((role, path, facts))

    def log(self, level: str, message: str) -> None:
        """Nobody reads it."""

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled
