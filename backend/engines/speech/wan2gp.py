"""Wan2GP's models that clone a voice, as engines of speech: one class, one row of `assets/wan2gp/voices.json` for each.

Service process side. They speak in the `wan2gp` worker, the same that makes Wan2GP's videos, on an NVIDIA GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backend.engines.base import Readiness
from backend.engines.speech.base import SpeechOrder
from backend.engines.speech.clone import CLONE_DISCLOSURE, CloneSpeechEngine
from backend.engines.speech.worker_engine import Speaker, WorkerSpeechEngine
from backend.engines.worker_port import EngineWorker
from backend.models.codes import ErrorCode

WORKER = "wan2gp"
FILE = Path("wan2gp") / "voices.json"
WANGP_DISCLOSURE = (
    "Powered by WanGP (github.com/deepbeepmeep/Wan2GP), WanGP Community License 2.0, installed separately."
)


@dataclass(frozen=True)
class VoiceFacts:
    """What the service knows of one model. `catalogue`: all the weights it needs; `terms`: what its licence asks."""

    name: str
    title_en: str
    title_zh: str
    model: str
    catalogue: tuple[str, ...]
    languages: frozenset[str]
    licence: str
    terms: str | None


def load_voice_facts(assets_dir: Path) -> tuple[VoiceFacts, ...]:
    """The models, best first. Raises ValueError: the file is part of the release."""
    try:
        rows = json.loads((assets_dir / FILE).read_text("utf-8"))["voices"]
        return tuple(
            VoiceFacts(
                name=row["name"],
                title_en=row["title_en"],
                title_zh=row["title_zh"],
                model=row["model"],
                catalogue=tuple(row["catalogue"]),
                languages=frozenset(row["languages"]),
                licence=row["licence"],
                terms=row["terms"],
            )
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"assets/{FILE.as_posix()} is damaged: {error!r}") from error


class Wan2GPSpeechEngine(CloneSpeechEngine):
    """One model of Wan2GP."""

    uses_gpu = True

    def __init__(
        self,
        worker: EngineWorker,
        facts: VoiceFacts,
        *,
        environment: Callable[[], Readiness],
        has_weights: Callable[[str], bool],
    ) -> None:
        """`environment`: whether Wan2GP could run here; `has_weights` looks for one model of the catalogue."""
        super().__init__(worker, has_weights=lambda: not self._missing())
        self.name = facts.name
        self.title_en = facts.title_en
        self.title_zh = facts.title_zh
        self.languages = facts.languages
        self.licence = facts.licence
        self.disclosure = " ".join(filter(None, (CLONE_DISCLOSURE, facts.terms, WANGP_DISCLOSURE)))
        self.model_title = facts.model
        self._catalogue = facts.catalogue
        self._environment = environment
        self._has = has_weights

    def readiness(self) -> Readiness:
        environment = self._environment()
        if not environment.is_ready:
            return environment
        missing = self._missing()
        if missing:
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.MODEL_MISSING,
                f"The weights of {self.model_title} are not on this computer ({', '.join(missing)}).",
                "Download them in the page under Models, or by "
                + " and ".join(f"POST /api/models/{model}/download" for model in missing)
                + ".",
            )
        return WorkerSpeechEngine.readiness(self)

    async def warm(self) -> None:
        """Nothing: importing upstream takes half a minute of the GPU's one lane, and the weights come with the task."""

    def speaker(self, order: SpeechOrder, work_dir: Path) -> Speaker:
        """The sample, its transcript, and which model speaks."""
        return replace(super().speaker(order, work_dir), params={"model": self.name}, model=self.name)

    def _missing(self) -> list[str]:
        return [model for model in self._catalogue if not self._has(model)]
