"""Whether music plays in a recording. Runs in the speech worker.

Flow: samples at 16 kHz, in pieces -> spectra of 128 ms -> which frequencies stand out of their surroundings -> how
many of them stay where they are for 2.6 s. Notes and chords do; a voice glides. Nothing is kept but one score per
1.3 s.

Source of the idea: Seyerlehner, Pohle, Schedl, Widmer, "Automatic music detection in television productions",
DAFx 2007 (continuous frequency activation). The figures here were measured anew, see the constants.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workers.speech.enrol.vad import SAMPLE_RATE

_SIZE, _HOP = 2048, 1024
# 40 spectra are 2.6 s: no syllable lasts that long, every bar of music does.
_BLOCK, _STEP = 40, 20
BLOCK_S, STEP_S = _BLOCK * _HOP / SAMPLE_RATE, _STEP * _HOP / SAMPLE_RATE
# Below 500 Hz also the harmonics of a calm voice stay in place.
_LOWEST_BIN = 64
# A frequency stands out when it is this much louder than the 21 bins (160 Hz) around it ...
_OUTSTANDING_DB = 8.0
_AROUND = 21
# ... and louder than a tone 60 dB below the recording's peak (which is 0.8 here): mains hum is no music.
_FLOOR_DBFS = -60.0
_TONE_DB = 20.0 * np.log10(_SIZE / 4.0)
# The score adds up the five clearest lines, each between 0 and 1.
_LINES = 5
_SILENCE = 1e-9

F32 = npt.NDArray[np.float32]


class MusicMeter:
    """Takes a recording piece by piece; its peak should be about 0.8."""

    def __init__(self) -> None:
        # Hann with the period of the window.
        self._window = np.hanning(_SIZE + 1)[:-1].astype(np.float32)
        self._rest = np.zeros(0, np.float32)
        self._lines: list[npt.NDArray[np.bool_]] = []
        self._scores: list[float] = []

    def feed(self, samples: F32) -> None:
        """The next samples."""
        samples = np.concatenate([self._rest, samples])
        count = max(0, (len(samples) - _SIZE) // _HOP + 1)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(samples, _SIZE)[::_HOP]
            # A second of spectra at a time: a large piece must not become a large array.
            for first in range(0, count, _STEP):
                self._add(_outstanding(frames[first : min(first + _STEP, count)] * self._window))
        self._rest = samples[count * _HOP :]

    def close(self) -> F32:
        """One score per block; block i lasts from i * STEP_S for BLOCK_S. Short recordings have one, or none."""
        if not self._scores and self._lines:
            self._scores.append(_steadiness(np.stack(self._lines)))
        return np.array(self._scores, np.float32)

    def _add(self, lines: npt.NDArray[np.bool_]) -> None:
        self._lines.extend(lines)
        while len(self._lines) >= _BLOCK:
            self._scores.append(_steadiness(np.stack(self._lines[:_BLOCK])))
            del self._lines[:_STEP]


def _outstanding(frames: F32) -> npt.NDArray[np.bool_]:
    """Which bins (n, bins) of the spectra of windowed frames stand out."""
    power = np.abs(np.fft.rfft(frames)) ** 2
    level = 10.0 * np.log10(power + _SILENCE)
    half = _AROUND // 2
    total = np.cumsum(np.pad(level, ((0, 0), (half + 1, half)), mode="edge"), axis=1)
    around = (total[:, _AROUND:] - total[:, :-_AROUND]) / _AROUND
    found = (level - around > _OUTSTANDING_DB) & (level > _FLOOR_DBFS + _TONE_DB)
    return np.asarray(found[:, _LOWEST_BIN:], np.bool_)


def _steadiness(lines: npt.NDArray[np.bool_]) -> float:
    """How clear the five clearest lines of a block (spectra, bins) are: a line's height above the lower of its dips."""
    share = lines.mean(axis=0)
    heights: list[float] = []
    dip, top = 0.0, 0.0
    rising = True
    for value in [*share.tolist(), 0.0]:
        if rising and value < top:
            rising = False
            left, dip = dip, value
        elif not rising and value > dip:
            heights.append(top - max(left, dip))
            rising = True
        if rising:
            top = value
        else:
            dip = value
    if not rising:
        heights.append(top - max(left, dip))
    return float(sum(sorted(heights)[-_LINES:]))


def score_between(scores: F32, start_s: float, end_s: float) -> float:
    """The median score of the blocks that touch a stretch; 0 when there are none."""
    if not len(scores):
        return 0.0
    first = max(0, int(np.ceil((start_s - BLOCK_S) / STEP_S)))
    last = max(first + 1, int(np.ceil(end_s / STEP_S)))
    touched = scores[min(first, len(scores) - 1) : last]
    return float(np.median(touched))
