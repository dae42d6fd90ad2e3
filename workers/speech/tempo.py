"""Faster, slower, higher, lower, for engines that cannot do it themselves. Pure functions; run in the workers.

Flow: samples -> windows laid down at another distance, each where it fits best to what is there (WSOLA: Verhelst
and Roelands 1993) -> the same voice at another speed. Pitch is a change of rate with the speed taken back; the
colour of the voice moves with it, so it is meant for a few semitones.
"""

from __future__ import annotations

import numpy as np

from workers.speech.kokoro import SAMPLE_RATE, Samples
from workers.speech.resample import resample

# 40 ms hold at least two periods of the lowest voice (60 Hz); half of it overlaps.
_WINDOW = round(0.040 * SAMPLE_RATE)
_HOP = _WINDOW // 2
# How far from its place a window may be taken: one period of a low voice.
_SEARCH = round(0.012 * SAMPLE_RATE)
# Nobody hears less.
_SAME = 0.005


def at_speed(samples: Samples, speed: float) -> Samples:
    """`samples` (24 kHz) said `speed` times as fast, at the same pitch. Raises ValueError unless 0.25..4."""
    if not 0.25 <= speed <= 4.0:
        raise ValueError(f"a speed of {speed} is outside 0.25 to 4")
    if abs(speed - 1.0) < _SAME or len(samples) < 2 * _WINDOW:
        return samples
    count = max(2, round(len(samples) / speed / _HOP))
    source = np.pad(samples, (_SEARCH + _HOP, 2 * _WINDOW + _SEARCH))
    window = np.hanning(_WINDOW + 1)[:-1]
    result = np.zeros(count * _HOP + _WINDOW)
    taken = _SEARCH
    for index in range(count):
        wanted = _SEARCH + min(round(index * _HOP * speed), len(samples))
        if index:
            follows = source[taken + _HOP : taken + _HOP + _WINDOW]  # what would come next by itself
            around = source[wanted - _SEARCH : wanted + _SEARCH + _WINDOW]
            taken = wanted - _SEARCH + _best_fit(around, follows)
        else:
            taken = wanted
        result[index * _HOP : index * _HOP + _WINDOW] += source[taken : taken + _WINDOW] * window
    return result[_HOP : _HOP + round(len(samples) / speed)].astype(np.float32)


def _best_fit(around: Samples, pattern: Samples) -> int:
    """Where in `around` the `pattern` fits best: the normalised cross-correlation, by FFT."""
    size = 1 << (len(around) + len(pattern)).bit_length()
    product = np.fft.rfft(around, size) * np.conj(np.fft.rfft(pattern, size))
    likeness = np.fft.irfft(product, size)[: len(around) - len(pattern) + 1]
    energy = np.cumsum(np.concatenate([[0.0], around.astype(np.float64) ** 2]))
    power = energy[len(pattern) :] - energy[: -len(pattern)]
    return int(np.argmax(likeness / np.sqrt(power + 1e-9)))


def at_pitch(samples: Samples, semitones: float) -> Samples:
    """`samples` (24 kHz) `semitones` higher (negative: lower), as long as before."""
    if abs(semitones) < _SAME * 12:
        return samples
    # A rate that is a whole number keeps the conversion cheap; 24 Hz of 24,000 are 0.02 semitones.
    rate = round(SAMPLE_RATE * 2.0 ** (semitones / 12.0) / 24.0) * 24
    shifted = resample(samples, rate, SAMPLE_RATE)
    return at_speed(shifted, len(shifted) / max(1, len(samples)))
