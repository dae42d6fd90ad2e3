"""Gain with a peak limiter. Pure function; runs in the speech worker.

Flow: samples x gain -> peak per 2.5 ms frame -> the gain each frame needs to stay below the ceiling -> widened by
a minimum over the neighbours (look-ahead) and smoothed -> interpolated per sample. Some voices have plosives 20 dB
above their speech; turning down the whole sentence for one of them would leave it quieter than the others.
"""

from __future__ import annotations

import numpy as np

from workers.speech.kokoro import SAMPLE_RATE, Samples

# Lossy codecs overshoot by up to a decibel.
PEAK_CEILING = 0.89
_FRAME = SAMPLE_RATE // 400
# The minimum must reach further than the smoothing plus the one frame that interpolation looks ahead, else a peak
# could slip through: 12 > 10 + 1. 10 frames are 25 ms on each side, slow enough not to be heard as distortion.
_REACH = 12
_SMOOTH = 10


def apply_gain(samples: Samples, gain_db: float) -> Samples:
    """`samples` louder by `gain_db`, no peak above PEAK_CEILING."""
    louder: Samples = (samples * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)
    if float(np.max(np.abs(louder), initial=0.0)) <= PEAK_CEILING:
        return louder
    count = -(-len(louder) // _FRAME)
    peaks = np.abs(np.pad(louder, (0, count * _FRAME - len(louder)))).reshape(count, _FRAME).max(axis=1)
    needed = np.minimum(1.0, PEAK_CEILING / np.maximum(peaks, 1e-9))
    lowest = np.lib.stride_tricks.sliding_window_view(
        np.pad(needed, _REACH, constant_values=1.0), 2 * _REACH + 1
    ).min(axis=1)
    window = np.hanning(2 * _SMOOTH + 3)[1:-1]
    smooth = np.convolve(np.pad(lowest, _SMOOTH, mode="edge"), window / window.sum(), mode="valid")
    centres = (np.arange(count) + 0.5) * _FRAME
    gain = np.interp(np.arange(len(louder)), centres, smooth).astype(np.float32)
    # Rounding in single precision may leave a peak a hair above the ceiling.
    limited: Samples = np.clip(louder * gain, -PEAK_CEILING, PEAK_CEILING).astype(np.float32)
    return limited
