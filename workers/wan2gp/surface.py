"""The part of upstream's `shared.api` that this worker uses, as types. Runs in the wan2gp worker; no code of upstream.

Upstream is not installed where this repository is checked: the shapes below are what its public interface answers at
the pinned commit, and what the tests' doubles are held to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Event(Protocol):
    """One event of a job: `kind` names it, `data` depends on the kind."""

    @property
    def kind(self) -> str: ...

    @property
    def data(self) -> Any: ...


class Events(Protocol):
    """The stream of a job. `get` returns None both when nothing came in time and at the end: ask `closed`."""

    @property
    def closed(self) -> bool: ...

    def get(self, timeout: float | None = None) -> Event | None: ...


class Failure(Protocol):
    """One error of a result. `stage`: validation, generation, runtime or cancelled."""

    @property
    def message(self) -> str: ...

    @property
    def stage(self) -> str | None: ...


class Result(Protocol):
    """What a job ended with; upstream never raises for a failed generation."""

    @property
    def success(self) -> bool: ...

    @property
    def generated_files(self) -> Sequence[str]: ...

    @property
    def errors(self) -> Sequence[Failure]: ...

    @property
    def cancelled(self) -> bool: ...


class Job(Protocol):
    """One submitted generation."""

    @property
    def events(self) -> Events: ...

    @property
    def done(self) -> bool: ...

    def cancel(self) -> None: ...

    def result(self, timeout: float | None = None) -> Result: ...


class Session(Protocol):
    """Upstream's session. All sessions of a process share one runtime and one loaded model."""

    def submit_task(self, settings: dict[str, Any]) -> Job: ...

    def get_model_def(self, model_type: str) -> Mapping[str, Any] | None: ...

    def close(self) -> None:
        """Release the loaded model; the session stays usable."""


class Init(Protocol):
    """`shared.api.init`."""

    def __call__(
        self,
        *,
        root: Path,
        config_path: Path,
        output_dir: Path,
        cli_args: Sequence[str],
        console_output: bool,
        console_isatty: bool,
    ) -> Session: ...
