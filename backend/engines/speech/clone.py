"""What engines that learn a voice from its sample share: the sample goes to the worker. Service process side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.engines.base import Readiness
from backend.engines.speech.base import SpeechOrder, VoiceFiles
from backend.engines.speech.worker_engine import Speaker, WorkerSpeechEngine
from backend.engines.worker_port import EngineWorker
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure

# What a person is told before a voice is cloned; the voice's own consent is asked for when it is enrolled.
CLONE_DISCLOSURE = (
    "It imitates a real voice. Use it only for your own voice or with the speaker's permission, and say that the "
    "result was made by a computer."
)


class CloneSpeechEngine(WorkerSpeechEngine):
    """A cloning engine. `model_id` and `model_title`: its weights in the catalogue of models."""

    is_clone = True
    languages = frozenset({"zh", "en", "ja"})
    disclosure = CLONE_DISCLOSURE
    model_id: str
    model_title: str

    def __init__(self, worker: EngineWorker, *, has_weights: Callable[[], bool]) -> None:
        """`has_weights` looks whether the weights are there, whole and checked; quick."""
        super().__init__(worker)
        self._has_weights = has_weights

    def readiness(self) -> Readiness:
        if not self._has_weights():
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.MODEL_MISSING,
                f"The model {self.model_title} is not on this computer.",
                f"Download it in the page under Models, or by POST /api/models/{self.model_id}/download.",
            )
        return super().readiness()

    def speaker(self, order: SpeechOrder, work_dir: Path) -> Speaker:
        voice = order.voice
        if not isinstance(voice, VoiceFiles):
            raise EngineFailure(
                ErrorCode.ENGINE_UNAVAILABLE,
                f"{self.title_en} has no built-in voices; choose a voice of your own.",
            )
        inputs = {"reference": voice.reference}
        texts = {}
        if voice.reference_text:
            inputs["reference_text"] = work_dir / "reference-text.txt"
            texts[inputs["reference_text"]] = voice.reference_text
        return Speaker("clone", inputs=inputs, texts=texts)
