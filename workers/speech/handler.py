"""The speech worker's tasks. Runs in the speech worker process; heavy imports happen in `load` and later.

Flow: `speech`: a script and the name of a voice -> sentences -> `speech.wav` and `timings.json`, sentence by
sentence. `voice_enrol`: any media file -> the reference of a voice and a report on it (`enrol/task.py`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup

if TYPE_CHECKING:
    from workers.speech.engine import SpeechEngine
    from workers.speech.enrol.task import Enroller
    from workers.speech.text.front import Reader

ENGINE = "kokoro-82m-int8"
_DEFAULT_THREADS = 2


class SpeechHandler:
    """Implements `workers.handler.Handler`."""

    def __init__(self) -> None:
        self._setup: WorkerSetup | None = None
        self._engine: SpeechEngine | None = None
        self._reader: Reader | None = None
        self._enroller: Enroller | None = None

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Load and warm the model. A model that is not installed is reported, not raised: enrolment works without.

        The error then comes with the first `speech` task.
        """
        self._setup = setup
        # Matrices here are small (the speaker encoder's): BLAS threads would wait for each other, 15 times as long
        # on a busy computer. The libraries read this once, when numpy is first imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        with contextlib.suppress(TaskError):  # comes again with the first `speech` task
            self._ready_engine()
        models = [] if self._engine is None else [ENGINE]
        return {
            "engine_version": f"{ENGINE} onnxruntime {importlib.metadata.version('onnxruntime')}",
            "models": models,
            "devices": ["cpu"],
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError with a code of the product."""
        if task.task == "speech":
            return self._ready_engine().run(task, context)
        if task.task == "script_check":
            from workers.speech.check import run_check

            return run_check(task, context, self._ready_reader())
        if task.task == "voice_match":
            return self._ready_engine().matcher.run(task, context)
        if task.task == "voice_enrol":
            return self._ready_enroller().run(task, context)
        raise TaskError("validation_failed", f"The speech worker has no task called {task.task!r}.")

    def unload(self) -> None:
        """Drop the models; the next task loads them again."""
        self._engine = None
        self._enroller = None
        self._reader = None

    def _configured(self) -> WorkerSetup:
        if self._setup is None:
            raise TaskError("internal_error", "The speech worker was not set up.")
        return self._setup

    def _ready_enroller(self) -> Enroller:
        if self._enroller is None:
            from workers.speech.enrol.task import Enroller

            options = self._configured().options
            self._enroller = Enroller(
                ffmpeg=str(options["ffmpeg"]), assets_dir=Path(str(options["assets_dir"]))
            )
        return self._enroller

    def _ready_reader(self) -> Reader:
        """The front ends. Checking a script needs no model."""
        if self._reader is None:
            from workers.speech.text.front import Reader

            self._reader = Reader(Path(str(self._configured().options["assets_dir"])) / "g2p")
        return self._reader

    def _ready_engine(self) -> SpeechEngine:
        if self._engine is None:
            from workers.speech.engine import SpeechEngine

            setup = self._configured()
            engine = SpeechEngine(
                assets=Path(str(setup.options["assets_dir"])),
                models_dir=setup.models_dir,
                cache_dir=setup.cache_dir,
                threads=int(setup.options.get("threads", _DEFAULT_THREADS)),
            )
            engine.warm()
            self._engine = engine
        return self._engine


def create_handler() -> SpeechHandler:
    """What the host calls."""
    return SpeechHandler()
