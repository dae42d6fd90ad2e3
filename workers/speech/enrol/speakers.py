"""Whether one person speaks. Runs in the speech worker.

Flow: the phrases, joined -> one vector of the voice per 1.6 s (`workers/speech/speaker.py`) -> the windows in two
groups, as different as can be -> one person, or two; how much each phrase sounds like the main voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.speech.enrol.vad import SAMPLE_RATE
from workers.speech.speaker import SpeakerEncoder, window_starts

# One person's windows are all somewhat alike; of two people's, many pairs are not. The cosine that a tenth of the
# pairs stay below: 75 recordings of one LibriSpeech reader each (one or two chapters) have 0.61 to 0.80, ten
# clean clips with a telephone's band or noise at 10 and 0 dB 0.59 at least; 19 of 19 pairs of readers one after the
# other 0.38 to 0.58, 13 of 14 that take turns of 3 s likewise. Two voices at the same time are not noticed.
_UNLIKE_PERCENTILE = 10.0
TWO_VOICES_BELOW = 0.585
# Cosine between the middles of the two groups: two readers 0.51 to 0.83, one with noise in the way 0.64 to 0.95.
CONTRAST_BELOW = 0.85
# Fewer windows (6 s of speech) are too few for a tenth of their pairs to mean anything.
_ENOUGH_WINDOWS = 7
_ROUNDS = 12
_FRAME = SAMPLE_RATE // 100
_WINDOW_S = 1.6

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Voices:
    """`similarity`: mean cosine of all windows to the main voice, None when there is only one window.

    `phrases`: for each phrase its cosine to the main voice, and whether it is the main voice. `contrast`: cosine
    between the two groups.
    """

    similarity: float | None
    contrast: float
    has_second: bool
    phrases: list[tuple[float, bool]]


def compare(encoder: SpeakerEncoder, phrases: Sequence[F32]) -> Voices:
    """`phrases`: samples at 16 kHz, in order. Raises ValueError when they hold no sample."""
    joined = np.concatenate(list(phrases))
    vectors = encoder.embed_windows(joined)
    if len(vectors) < _ENOUGH_WINDOWS:
        middle = _unit(vectors.mean(axis=0))
        similarity = float((vectors @ middle).mean()) if len(vectors) > 1 else None
        return Voices(similarity, 1.0, False, [(1.0, True)] * len(phrases))
    minor = two_groups(vectors)
    main, other = _unit(vectors[~minor].mean(axis=0)), _unit(vectors[minor].mean(axis=0))
    contrast = float(main @ other)
    has_second = _unlike(vectors) < TWO_VOICES_BELOW and contrast < CONTRAST_BELOW
    if not has_second:
        main = _unit(vectors.mean(axis=0))
    alike, strange = vectors @ main, vectors @ other
    per_phrase: list[tuple[float, bool]] = []
    for weights in _overlaps([len(samples) for samples in phrases], len(joined)):
        near, far = float(weights @ alike), float(weights @ strange)
        per_phrase.append((near, not has_second or near >= far))
    return Voices(float(alike.mean()), contrast, has_second, per_phrase)


def _overlaps(lengths: Sequence[int], total: int) -> Iterator[F32]:
    """For each phrase the share of its sound that lies in each window; the last window stands for what it misses."""
    starts = np.array(window_starts(total)) * (_FRAME / SAMPLE_RATE)
    begin = 0.0
    for length in lengths:
        end = begin + length / SAMPLE_RATE
        overlap = np.clip(np.minimum(starts + _WINDOW_S, end) - np.maximum(starts, begin), 0.0, None)
        if not overlap.any():
            overlap[-1] = 1.0
        yield np.asarray(overlap / overlap.sum(), np.float32)
        begin = end


def _unlike(vectors: F32) -> float:
    """The cosine that a tenth of the pairs of windows stay below; neighbours, which share sound, do not count."""
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 2)]
    return float(np.percentile(pairs, _UNLIKE_PERCENTILE))


def two_groups(vectors: F32) -> npt.NDArray[np.bool_]:
    """Which of the unit vectors (n, 256), n > 1, belong to the smaller of two groups (2-means on the sphere)."""
    cosines = vectors @ vectors.T
    one, two = np.unravel_index(int(cosines.argmin()), cosines.shape)
    first, second = vectors[one], vectors[two]
    group = np.zeros(len(vectors), np.bool_)
    group[two] = True
    for _ in range(_ROUNDS):
        nearer = vectors @ second > vectors @ first
        if nearer.all() or not nearer.any() or np.array_equal(nearer, group):
            break
        group = nearer
        first, second = _unit(vectors[~group].mean(axis=0)), _unit(vectors[group].mean(axis=0))
    return group if group.sum() * 2 <= len(group) else ~group


def _unit(vector: F32) -> F32:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
