"""`Wan t2v …` without Wan2GP: through diffusers, in InfiniteTalk's environment. Service process side.

The `infinitetalk` worker does the task `text_to_video` with the parameters of the `wan2gp` worker. It is asked where
Wan2GP is not installed and this environment is; the engine keeps the name `wan2gp`, and the job says what ran.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.engines.base import READY, Readiness
from backend.engines.infinitetalk_home import infinitetalk_readiness
from backend.engines.video_task import resting
from backend.engines.worker_port import EngineWorker
from backend.models.codes import ErrorCode

TASK = "text_to_video"
# Entries of the catalogue by the models' names on the wire; each brings its own encoder of texts and decoder.
CATALOGUE = {"Wan t2v 1.3B": "infinitetalk-t2v-1.3b", "Wan t2v 14B": "infinitetalk-t2v-14b"}


class DiffusersText:
    """The environment, the worker, and whether a model can run there."""

    def __init__(self, worker: EngineWorker, *, core_dir: Path, has_weights: Callable[[str], bool]) -> None:
        self.worker = worker
        self._core_dir = core_dir
        self._has_weights = has_weights

    def can_take(self, model: str | None) -> bool:
        """Whether the model is one of these and the environment stands; its weights may still be missing."""
        return model in CATALOGUE and infinitetalk_readiness(self._core_dir).is_ready

    def missing(self, model: str) -> tuple[str, ...]:
        """Entries of the catalogue to fetch for a model of `CATALOGUE`."""
        entry = CATALOGUE[model]
        return () if self._has_weights(entry) else (entry,)

    def readiness(self, model: str) -> Readiness:
        """Of a model that `can_take` took."""
        lacking = self.missing(model)
        if lacking:
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.MODEL_MISSING,
                f"Wan2GP is not installed; in InfiniteTalk's environment {model} can run, but {lacking[0]} is not on "
                "this computer.",
                f"Download {lacking[0]} in the page under Models, or by POST /api/models/<id>/download.",
            )
        look = "Look at logs/worker.log for the cause; it is tried again by itself."
        return resting(self.worker, "InfiniteTalk's environment", look) or READY


def made_by(model: str) -> str:
    """What the job says when it is done."""
    return f"{model} ran through diffusers in InfiniteTalk's environment, because Wan2GP is not installed."


def learned_as(model: str) -> str:
    """Under which name its times are learned: Wan2GP takes others for the same model."""
    return f"{model} (diffusers)"
