"""How high the sound of a voice reaches, and how hard it was limited. Pure functions; run in the speech worker."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_SIZE, _HOP = 1024, 512
# Frames this far below the loudest ones (95th percentile) are pauses.
_PAUSE_BELOW = 1e-3
# The highest frequency that the mean spectrum reaches within so many dB of its maximum. 50: room noise of good
# recordings lies lower, the stop band of every telephone and codec too.
_DROP_DB = 50.0
# Single bins waver: a mean over 9 of them (210 Hz at 24 kHz).
_SMOOTH = 9
# Share of samples that may lie above what counts as the peak.
_PEAK_PERCENTILE = 99.99
_CREST_FRAME = 512
_SILENCE = 1e-12

F32 = npt.NDArray[np.float32]


def bandwidth_hz(samples: F32, rate: int) -> int:
    """The -50 dB roll-off of speech in Hz; 0 for silence or less than one frame."""
    if len(samples) < _SIZE or not np.any(samples):
        return 0
    frames = np.lib.stride_tricks.sliding_window_view(samples, _SIZE)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_SIZE).astype(np.float32))) ** 2
    energy = power.sum(axis=1)
    mean = power[energy > np.percentile(energy, 95) * _PAUSE_BELOW].mean(axis=0)
    smooth = np.convolve(mean, np.ones(_SMOOTH) / _SMOOTH, "same")
    level = 10.0 * np.log10(smooth + _SILENCE)
    reached = np.flatnonzero(level > level.max() - _DROP_DB)
    return int(reached[-1] * rate / _SIZE)


def crest_db(samples: F32) -> float:
    """Peak over the level of the louder half, in dB: 13 to 20 for speech, less the harder it was limited."""
    count = len(samples) // _CREST_FRAME
    if not count:
        return 0.0
    powers = np.sort(
        np.mean(samples[: count * _CREST_FRAME].reshape(count, -1).astype(np.float64) ** 2, axis=1)
    )
    loud = float(powers[count // 2 :].mean())
    peak = float(np.percentile(np.abs(samples), _PEAK_PERCENTILE))
    return 20.0 * math.log10(max(peak, _SILENCE) / max(math.sqrt(loud), _SILENCE))
