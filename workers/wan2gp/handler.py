"""The wan2gp worker: `talking_avatar` by the video models of Wan2GP, `speech` by its voices. A worker process.

Runs in the Python of `wan2gp_core/python_env`, which the installer makes. `load` imports and initialises upstream; the
weights of a model are loaded by the first task that needs them and stay until another model is asked for, `unload` is
called or the process ends.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup
from workers.wan2gp.session import Engine, start_engine, version_of_upstream
from workers.wan2gp.table import Table, load_table
from workers.wan2gp.talking_avatar import Setting, make_talking_avatar

if TYPE_CHECKING:
    from workers.wan2gp.speech import Voices

_FFMPEG_OPTION = "ffmpeg"
_ASSETS_OPTION = "assets_dir"
_OWN_ASSETS = Path(__file__).resolve().parents[2] / "assets"


class Wan2GpHandler:
    """Implements `workers.handler.Handler`."""

    def __init__(self) -> None:
        self._setup: WorkerSetup | None = None
        self._engine: Engine | None = None
        self._table: Table | None = None
        self._voices: Voices | None = None
        self._ffmpeg = ""

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Read the table, import and initialise upstream; no weights. Raises TaskError."""
        options = setup.options
        self._setup = setup
        self._table = load_table(Path(str(options.get(_ASSETS_OPTION) or _OWN_ASSETS)))
        self._engine = start_engine(setup)
        # Upstream's own is on PATH by now.
        self._ffmpeg = str(options.get(_FFMPEG_OPTION) or "ffmpeg")
        torch: Any = sys.modules.get("torch")
        return {
            "engine_version": f"wan2gp {version_of_upstream()}",
            "torch": None if torch is None else str(torch.__version__),
            "cuda": None if torch is None else torch.version.cuda,
            "models": [model.name for model in self._table.models],
            "devices": [str((setup.device or {}).get("name", "cuda"))],
            "upstream": version_of_upstream(),
            "table_made_for": self._table.upstream.version,
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError, TaskCancelled."""
        setup, engine, table = self._setup, self._engine, self._table
        if setup is None or engine is None or table is None:
            raise TaskError("internal_error", "The wan2gp worker was not set up.")
        _forget_peak_memory()
        if task.task == "talking_avatar":
            setting = Setting(engine, table, self._ffmpeg, version_of_upstream())
            return make_talking_avatar(task, context, setting)
        if task.task == "speech":
            if self._voices is None:
                # numpy and the text front end: only who speaks needs them
                from workers.wan2gp.speech import Voices

                self._voices = Voices(setup)
            return self._voices.run(engine, task, context)
        raise TaskError("validation_failed", f"The wan2gp worker has no task called {task.task!r}.")

    def unload(self) -> None:
        """Give the GPU's memory back; the next task loads its model again."""
        if self._engine is not None:
            self._engine.close()
        gc.collect()


def _forget_peak_memory() -> None:
    """The peak that the host reports with a result is to be this task's, not that of an earlier one."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def create_handler() -> Wan2GpHandler:
    """What the host calls."""
    return Wan2GpHandler()
