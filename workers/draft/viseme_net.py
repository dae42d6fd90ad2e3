"""The viseme net: which mouth class is heard every 10 ms, for speech without known phonemes.

Runs in the draft worker on numpy alone. A perceptron 451-160-64-15 looks at 11 feature frames that span 0.2 s;
it was trained on synthetic English and Chinese speech.
"""

from __future__ import annotations

import numpy as np

from workers.draft.arrays import F32
from workers.draft.audio_features import AudioFeatures

# Frames the net sees around the present one: every second one within 0.1 s.
CONTEXT = tuple(range(-10, 11, 2))
# Slope of the leaky rectifiers it was trained with.
_LEAK = np.float32(0.01)
# Frames per batch: its context matrix takes 4 MB.
_CHUNK = 2048
# Loudness above which a frame counts as speech when the level is normalised.
_SPEECH_LOUDNESS = 0.25


def posteriors(weights: tuple[F32, ...], features: AudioFeatures) -> F32:
    """Probability of each of the 15 visemes (n, 15), 100 per second."""
    inputs = _normalised(features)
    count = len(inputs)
    output = np.empty((count, weights[-1].shape[0]), np.float32)
    offsets = np.array(CONTEXT)
    for start in range(0, count, _CHUNK):
        stop = min(count, start + _CHUNK)
        index = np.clip(np.arange(start, stop)[:, None] + offsets[None], 0, count - 1)
        output[start:stop] = _forward(weights, inputs[index].reshape(stop - start, -1))
    return output


def _normalised(features: AudioFeatures) -> F32:
    """Inputs (n, 41) as in training: log-mel against the clip's own speech level, and loudness."""
    mel, loudness = features.log_mel, features.loudness
    speech = loudness > _SPEECH_LOUDNESS
    if speech.sum() <= 20:
        speech = np.ones(len(mel), np.bool_)
    centre = mel[speech].mean(axis=0)
    spread = mel[speech].std(axis=0).mean() + np.float32(1e-3)
    scaled = np.clip((mel - centre) / spread, -5, 4) * np.float32(0.6)
    level = (loudness[:, None] - np.float32(0.5)) * np.float32(2)
    return np.concatenate([scaled, level], axis=1).astype(np.float32)


def _forward(weights: tuple[F32, ...], batch: F32) -> F32:
    hidden = batch
    for layer in range(0, len(weights), 2):
        hidden = hidden @ weights[layer] + weights[layer + 1]
        if layer + 2 < len(weights):
            hidden = np.maximum(hidden, _LEAK * hidden)
    hidden = hidden - hidden.max(axis=1, keepdims=True)
    exponent = np.exp(hidden)
    return np.asarray(exponent / exponent.sum(axis=1, keepdims=True), np.float32)
