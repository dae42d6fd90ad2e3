"""What is measured of the recorded voice. Runs in the speech worker.

Flow: reference samples (24 kHz, the best seconds of speech) -> speaker vectors at two levels, median pitch, spectrum.
The encoder hears a louder voice as a slightly other one, so a match has to hold at both levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.handler import TaskError
from workers.speech.kokoro import SAMPLE_RATE
from workers.speech.match import spectrum
from workers.speech.match.signals import F32, F64, median_pitch_hz, to_encoder_rate, without_pauses
from workers.speech.speaker import EMBEDDING_SIZE, SpeakerEncoder

# Decibels above the level the encoder was trained with: quiet recordings and speech as loud as we make it.
LEVELS_DB = (0.0, 9.0)
# More speech than this no longer changes the vector, but costs time.
MAX_SECONDS = 20.0
# Between the medians of most women and most men; nearer than this nobody guesses.
_MALE_BELOW_HZ, _FEMALE_ABOVE_HZ = 145.0, 180.0


@dataclass(frozen=True)
class Target:
    """A voice to come close to. `vectors` (512,): one unit vector per level, joined; `spectrum` (513,)."""

    vectors: F64
    pitch_hz: float
    spectrum: F64

    @property
    def gender_guess(self) -> str | None:
        """By pitch alone: `male`, `female`, or None in between."""
        if self.pitch_hz < _MALE_BELOW_HZ:
            return "male"
        return "female" if self.pitch_hz > _FEMALE_ABOVE_HZ else None

    def likeness(self, vectors: F64) -> F64:
        """Mean cosine over the levels of `vectors` (..., 512) with this voice."""
        return cosine(vectors, self.vectors)


def measure(samples: F32, encoder: SpeakerEncoder) -> Target:
    """Measure a recording. Raises TaskError(voice_too_short) when there is hardly any voiced sound in it."""
    samples = samples[: round(MAX_SECONDS * SAMPLE_RATE)]
    slow = to_encoder_rate(samples)
    pitch = median_pitch_hz(slow) if len(samples) >= spectrum.TAPS else None
    if pitch is None:
        raise TaskError(
            "voice_too_short",
            "Hardly any voice was found in the sample. Record 10 to 20 seconds of clear speech.",
        )
    return Target(
        vectors=speaker_vectors(without_pauses(slow), encoder),
        pitch_hz=pitch,
        spectrum=spectrum.mean_log_spectrum(samples),
    )


def speaker_vectors(speech_16k: F32, encoder: SpeakerEncoder) -> F64:
    """Unit vectors of speech at each of LEVELS_DB, joined (512,)."""
    windows = encoder.mel_windows(speech_16k)
    levelled = np.concatenate([windows * np.float32(10.0 ** (level / 10.0)) for level in LEVELS_DB])
    means = encoder.embed_mels(levelled).reshape(len(LEVELS_DB), len(windows), -1).mean(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float64).reshape(-1)


def cosine(vectors: F64, wanted: F64) -> F64:
    """Mean over the levels of the cosines between `vectors` (..., 512) and `wanted` (512,)."""
    parts = vectors.reshape(*vectors.shape[:-1], len(LEVELS_DB), EMBEDDING_SIZE)
    other = wanted.reshape(len(LEVELS_DB), EMBEDDING_SIZE)
    norms = np.maximum(np.linalg.norm(parts, axis=-1) * np.linalg.norm(other, axis=-1), 1e-9)
    return np.asarray(((parts * other).sum(axis=-1) / norms).mean(axis=-1), np.float64)
