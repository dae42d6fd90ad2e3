"""The `voice_match` task. Runs in the speech worker.

Flow: reference.wav (24 kHz), in mode `refine` the profile so far -> measured -> mixed and corrected (`fast`, a few
seconds) or searched on from there (`refine`, minutes) -> profile.npz. What comes out is an approximation: the built-in
model in a voice of the same kind, and is called so everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.handler import Task, TaskContext, TaskError
from workers.speech.kokoro import Kokoro
from workers.speech.match import blend, profile, search
from workers.speech.match.sentences import SENTENCES, calibration
from workers.speech.match.signals import F64, read_wav
from workers.speech.match.target import LEVELS_DB, Target, cosine, measure
from workers.speech.match.timbres import TimbreSpace
from workers.speech.match.trials import POINT_SIZE, SCORED_SENTENCES, Studio
from workers.speech.speaker import SpeakerEncoder
from workers.speech.stopping import SynthesisStopped
from workers.speech.voices import VoiceLibrary

PROFILE_FILE = "profile.npz"
ENCODER = "resemblyzer"
MODES = ("fast", "refine")
MAX_TRIALS = 400
# The natural pitch of a built-in timbre against the target's, in the unit of the last coordinate. It only tells the
# surrogate how much to trust it.
_PRIOR_PITCH_UNIT, _PRIOR_PITCH_LIMIT = 0.08, 4.0
_PRIOR_REACH = 0.6


@dataclass(frozen=True)
class Known:
    """What the built-in timbres are known to give for this target: `vectors` (54, 512), zeros where nobody asked.

    `near`: the offered voice that is most like it. `usable`: timbres for the mix, by pitch. `prior`: those that
    the search is told of.
    """

    vectors: F64
    near: str
    usable: npt.NDArray[np.bool_]
    prior: npt.NDArray[np.bool_]


class Matcher:
    """Model, voices and timbres of one worker."""

    def __init__(self, assets: Path, model: Kokoro, library: VoiceLibrary) -> None:
        """Raises TaskError(model_missing) when a file of `assets` is damaged."""
        self._model = model
        self._library = library
        self._encoder = SpeakerEncoder(assets)
        self.space = TimbreSpace(assets)

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task. Raises TaskError; cancelling raises what `context.raise_if_cancelled` raises."""
        mode, language, trials = _check(task)
        context.progress(0.0, "Listening")
        target = measure(read_wav(task.inputs["reference"]), self._encoder)
        context.raise_if_cancelled()
        known = self._known(target, fast=mode == "fast")
        context.raise_if_cancelled()
        studio = Studio(
            model=self._model,
            library=self._library,
            space=self.space,
            encoder=self._encoder,
            target=target,
            sentences=calibration(language),
            cancelled=lambda: context.cancelled,
        )
        try:
            if mode == "refine" and "profile" in task.inputs:
                start = profile.load(task.inputs["profile"])
            else:
                start = self._fast(studio, known, context)
            found = (
                start if mode == "fast" else self._refined(studio, start, known, trials, task.seed, context)
            )
        except SynthesisStopped:
            context.raise_if_cancelled()
            raise TaskError("internal_error", "The match was interrupted.", retryable=True) from None
        path = task.output_dir / PROFILE_FILE
        profile.save(found, path)
        context.progress(1.0, "Matched")
        context.artifact("profile", path, media_type="application/octet-stream")
        return {
            "similarity": {"score": round(found.score, 4), "encoder": ENCODER, "stage": found.stage},
            "nearest_voice": known.near,
            "f0_hz": round(target.pitch_hz, 1),
            "gender_guess": target.gender_guess,
        }

    def _known(self, target: Target, *, fast: bool) -> Known:
        log_pitch = float(np.log(target.pitch_hz))
        names = [preset.name for preset in self._library.presets]
        offered = np.isin(self.space.names, names)
        usable = blend.candidates(self.space.log_pitch, log_pitch)
        prior = np.abs(self.space.log_pitch - log_pitch) < _PRIOR_REACH
        vectors = self.space.vectors(
            self._encoder, target.spectrum, LEVELS_DB, offered | usable | (prior & (not fast))
        )
        likeness = np.where(offered, cosine(vectors, target.vectors), -1.0)
        return Known(vectors, self.space.names[int(np.argmax(likeness))], usable, prior)

    def _fast(self, studio: Studio, known: Known, context: TaskContext) -> profile.Profile:
        """The mix of built-in timbres, spoken twice for its pitch, spectrum and level."""
        target = studio.target
        mix = blend.weights(known.vectors, target.vectors, known.usable)
        start = replace(
            studio.profile(np.zeros(POINT_SIZE)), timbre=(mix @ self.space.timbres).astype(np.float32)
        )
        takes = []
        for index in range(SCORED_SENTENCES):
            context.progress((index + 1) / (SCORED_SENTENCES + 2), "Speaking")
            takes.append(studio.speak(start, index))
        return studio.finish(replace(start, pitch_trim=studio.trim(takes)), takes, 0)

    def _refined(
        self,
        studio: Studio,
        start: profile.Profile,
        known: Known,
        trials: int,
        seed: int,
        context: TaskContext,
    ) -> profile.Profile:
        def report(done: int, of: int) -> None:
            context.raise_if_cancelled()
            context.progress(done / of, "Searching", step=done, steps=of)

        offset = self.space.log_pitch[known.prior] - np.log(studio.target.pitch_hz)
        points = np.zeros((len(offset), POINT_SIZE))
        points[:, :-2] = self.space.coordinates(self.space.timbres[known.prior])
        points[:, -1] = np.clip(offset / _PRIOR_PITCH_UNIT, -_PRIOR_PITCH_LIMIT, _PRIOR_PITCH_LIMIT)
        return search.refine(
            studio, start, (points, known.vectors[known.prior]), trials=trials, seed=seed, report=report
        )


def _check(task: Task) -> tuple[str, str | None, int]:
    """Mode, language and number of trials. Raises TaskError(validation_failed)."""
    if "reference" not in task.inputs:
        raise TaskError("validation_failed", "The task has no voice sample.")
    mode = task.params.get("mode", "fast")
    if mode not in MODES:
        raise TaskError("validation_failed", "The mode must be fast or refine.")
    language = task.params.get("language")
    if language not in {None, *SENTENCES}:
        raise TaskError("validation_failed", "The language must be zh, en or ja.")
    trials = task.params.get("trials", search.TRIALS)
    if isinstance(trials, bool) or not isinstance(trials, int) or not 8 <= trials <= MAX_TRIALS:
        raise TaskError("validation_failed", f"trials must be a whole number from 8 to {MAX_TRIALS}.")
    return mode, language, trials
