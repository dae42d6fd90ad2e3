"""Speaking in a tried voice and hearing how close it came. Runs in the speech worker.

Flow: a point (timbre, formant, pitch) -> one calibration sentence by the model -> spectrum corrected to the target's
-> speaker vectors. What is measured over the sentences of one point becomes a `Profile`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from workers.speech.kokoro import SAMPLE_RATE, Kokoro, Voice
from workers.speech.limiter import apply_gain
from workers.speech.loudness import integrated_loudness
from workers.speech.match import spectrum
from workers.speech.match.profile import MAX_FORMANT, MIN_FORMANT, Profile
from workers.speech.match.signals import F32, F64, median_pitch_hz, to_encoder_rate, without_pauses
from workers.speech.match.target import Target, cosine, speaker_vectors
from workers.speech.match.timbres import DIRECTIONS, TimbreSpace
from workers.speech.speaker import SpeakerEncoder
from workers.speech.voices import VoiceLibrary

# A point: 20 directions of timbre, then the logarithms of formant scale and pitch factor in these units, which make
# a step of 1 about equally audible everywhere.
POINT_SIZE = DIRECTIONS + 2
_FORMANT_UNIT, _PITCH_UNIT = 0.05, 0.05
# What built-in voices are levelled to.
LOUDNESS_LUFS = -20.0
_LIMITER_ROUNDS = 2
# Sentences whose measures are averaged for the score, in the fast match and the refined one alike.
SCORED_SENTENCES = 2
# Sentences differ in pitch; more than this much (logarithm) is a mistake of measuring.
MAX_TRIM = 0.15


class Studio:
    """Model, timbres, encoder, the voice to reach and the sentences it is tried on."""

    def __init__(
        self,
        *,
        model: Kokoro,
        library: VoiceLibrary,
        space: TimbreSpace,
        encoder: SpeakerEncoder,
        target: Target,
        sentences: tuple[tuple[str, str], ...],
        cancelled: Callable[[], bool],
    ) -> None:
        """`sentences`: (language, symbols)."""
        self.model, self.library, self.space, self.encoder = model, library, space, encoder
        self.target, self.sentences, self._cancelled = target, sentences, cancelled

    def point(self, profile: Profile) -> F64:
        """Where a profile lies among the points."""
        extra = [np.log(profile.formant) / _FORMANT_UNIT, np.log(profile.pitch_trim) / _PITCH_UNIT]
        return np.concatenate([self.space.coordinates(profile.timbre), extra])

    def profile(self, point: F64) -> Profile:
        """The profile of a point before anything was spoken: no correction, no level, no score."""
        formant = float(np.clip(np.exp(point[DIRECTIONS] * _FORMANT_UNIT), MIN_FORMANT, MAX_FORMANT))
        trim = float(np.exp(np.clip(point[DIRECTIONS + 1] * _PITCH_UNIT, -MAX_TRIM, MAX_TRIM)))
        return Profile(
            timbre=self.space.timbre(point[:DIRECTIONS]),
            correction_db=np.zeros(spectrum.BINS, np.float32),
            pitch_hz=self.target.pitch_hz,
            pitch_trim=trim,
            formant=formant,
            gain_db=0.0,
            score=0.0,
            trials=0,
        )

    def speak(self, profile: Profile, index: int) -> F32:
        """Calibration sentence `index` in the voice of `profile`, neither corrected nor levelled.

        Raises SynthesisStopped when cancelled.
        """
        language, symbols = self.sentences[index]
        voice: Voice = replace(
            profile.voice(language, self.library, self.space), correction_db=None, gain_db=0.0
        )
        return self.model.speak(symbols, voice, cancelled=self._cancelled).samples

    def hear(self, samples: F32, correction_db: F32 | None = None) -> F64:
        """Speaker vectors of a take; corrected by its own spectrum unless told how."""
        if correction_db is None:
            correction_db = self.correction([samples])
        corrected = spectrum.apply(samples, correction_db)
        return speaker_vectors(without_pauses(to_encoder_rate(corrected)), self.encoder)

    def correction(self, takes: list[F32]) -> F32:
        """Decibels that give these takes the target's spectrum."""
        return spectrum.correction_db(self.target.spectrum, spectrum.mean_log_spectrum(np.concatenate(takes)))

    def trim(self, takes: list[F32]) -> float:
        """The factor that brings the pitch of these takes to the target's, 1 when it cannot be told."""
        found = [median_pitch_hz(to_encoder_rate(take)) for take in takes]
        errors = [np.log(self.target.pitch_hz / pitch) for pitch in found if pitch is not None]
        return float(np.exp(np.clip(np.mean(errors), -MAX_TRIM, MAX_TRIM))) if errors else 1.0

    def finish(self, profile: Profile, takes: list[F32], trials: int) -> Profile:
        """`profile` with what is measured on its takes (one per sentence, in order): correction, level, score."""
        correction = self.correction(takes)
        scored = [self.hear(take, correction) for take in takes[:SCORED_SENTENCES]]
        score = float(np.mean([cosine(vectors, self.target.vectors) for vectors in scored]))
        gain_db = level_gain([spectrum.apply(take, correction) for take in takes])
        return replace(profile, correction_db=correction, score=score, trials=trials, gain_db=gain_db)


def level_gain(takes: list[F32]) -> float:
    """Gain in dB that brings these takes to the common loudness, the limiter's work included."""
    whole = np.concatenate(takes)
    gain = 0.0
    for _ in range(_LIMITER_ROUNDS):
        loudness = integrated_loudness(apply_gain(whole, gain), SAMPLE_RATE)
        if np.isfinite(loudness):
            gain += LOUDNESS_LUFS - loudness
    return gain
