"""The mouth over time: six channels per video frame. Runs in the draft worker.

Flow: timed visemes (known phonemes), or viseme probabilities (the net) -> shapes at 100 Hz, blended with their
neighbours -> closures made firm -> one row per video frame.
Source of the blending: dominance functions, Cohen & Massaro 1993.
"""

from __future__ import annotations

import numpy as np

from workers.draft import visemes as vis
from workers.draft.arrays import F32, Mask
from workers.draft.audio_features import FEATURE_RATE, AudioFeatures
from workers.draft.phonemes import Segment

# Lips lead the sound a little: people expect to see a sound before they hear it.
LEAD_S = 0.030
# Beyond this many reaches a shape is no longer felt (e^-4.5 = 1 %).
_REACHES = 4.5
# Weight of the resting mouth where no sound is near.
_REST_WEIGHT = 0.02
# After the blending, muscles: a Gaussian of 16 ms.
_MUSCLE_S = 0.016
# Closed lips stay closed at least this long, or 25 frames a second would miss them.
_MIN_CLOSURE_S = 0.060
# Ramps into and out of a closure.
_CLOSURE_RAMP_S = 0.040
# Posterior above which the net's lip closure counts as one.
_NET_CLOSURE = 0.5
# Where the recording itself is silent the mouth is shut, whatever the phonemes say. Shorter silences are the
# holds of stop consonants; at the very end of a recording no sound follows, and a shorter one will do.
_SILENCE_S = 0.120
_LAST_SILENCE_S = 0.040
# Silent: below this loudness, and no band within this many nats (26 dB) of a loud sound's loudest band. The
# second condition keeps soft hissing consonants, whose level is low but whose treble is not.
_SILENT_LOUDNESS = 0.10
_SILENT_BELOW_NATS = 6.0
# The mouth needs this long to shut after a sound, and starts to open this long before the next one.
_SHUT_AFTER_S = 0.050
_OPEN_BEFORE_S = 0.040
_SILENCE_RAMP_S = 0.060
# A recording that ends on a sound still ends with shut lips: the ramp is a quick vowel's release.
_LAST_RAMP_S = 0.100
_LAST_SHUT_S = 0.020
# Aperture that the loud vowels of a clip are levelled to by the net's driver, in mouth widths.
_NET_OPEN_REFERENCE = 0.27


def from_segments(segments: list[Segment], features: AudioFeatures, fps: int) -> F32:
    """Mouth rows (frames, 6) from timed visemes; `features` give the length and the emphasis."""
    count = len(features.loudness)
    segments = _to_the_end(segments, features.duration_s)
    track = _blend(segments, count)
    emphasis = _smooth(features.loudness[:, None], 0.05)[:, 0]
    track[:, vis.OPEN] *= np.clip(0.72 + 0.38 * emphasis, 0.6, 1.15)
    track = _smooth(track, _MUSCLE_S)
    closures = [(s.start_s, s.end_s) for s in segments if s.viseme == "PP"]
    pauses = [(s.start_s, s.end_s) for s in segments if s.viseme == "sil" and s.end_s - s.start_s > 0.25]
    track[:, vis.OPEN] *= 1 - _gate(closures, count, _MIN_CLOSURE_S, _CLOSURE_RAMP_S)
    track *= 1 - _gate([(a + 0.10, b - 0.08) for a, b in pauses if b - a > 0.2], count, 0, 0.06)[:, None]
    track *= 1 - _gate(_silences(features), count, 0, _SILENCE_RAMP_S)[:, None]
    track *= 1 - _end_gate(features, fps)[:, None]
    return _to_frames(track, features, fps, closures)


def from_posteriors(posteriors: F32, features: AudioFeatures, fps: int) -> F32:
    """Mouth rows (frames, 6) from the viseme net's probabilities (n, 15) at 100 Hz."""
    loudness = features.loudness
    sharp = posteriors ** np.float32(1.25)
    sharp /= sharp.sum(axis=1, keepdims=True)
    track = sharp @ vis.TARGETS
    audible = np.clip((loudness - 0.10) / 0.25, 0, 1)
    track *= audible[:, None]
    track[:, vis.OPEN] *= 0.55 + 0.60 * np.clip(loudness, 0, 1.1)
    track = _smooth(track, 0.024)
    speech = loudness > 0.3
    if speech.sum() > 20:
        loud_open = max(float(np.percentile(track[speech, vis.OPEN], 92)), 1e-3)
        track[:, vis.OPEN] *= np.clip(_NET_OPEN_REFERENCE / loud_open, 0.9, 2.1)
    # Averages of uncertain classes are tamer than any of them: give the lips back their range.
    track[:, (vis.SPREAD, vis.PUCKER)] *= 1.25
    track[:, 1:] = np.clip(track[:, 1:], -1, 1)
    closed = _smooth(sharp[:, 1:2], 0.012)[:, 0] > _NET_CLOSURE
    closures = _runs(closed)
    track[:, vis.OPEN] *= 1 - _gate(closures, len(track), _MIN_CLOSURE_S, _CLOSURE_RAMP_S)
    soft = np.clip(1.9 * _smooth(sharp[:, 1:2], 0.015)[:, 0] - 0.12, 0, 1)
    track[:, vis.OPEN] *= 1 - soft
    return _to_frames(track, features, fps, closures)


def _to_the_end(segments: list[Segment], duration_s: float) -> list[Segment]:
    """The segments, with silence from the last of them to the end of the recording."""
    last = segments[-1].end_s if segments else 0.0
    return [*segments, Segment("sil", last, duration_s)] if duration_s > last else segments


def _silences(features: AudioFeatures) -> list[tuple[float, float]]:
    """Spans in seconds in which the recording is silent and the lips have had time to meet."""
    loudest_band = features.log_mel.max(axis=1)
    floor = features.levels.loud_band - _SILENT_BELOW_NATS
    silent = (features.loudness < _SILENT_LOUDNESS) & (loudest_band < floor)
    spans = []
    for start, end in _runs(silent):
        if round(end * FEATURE_RATE) >= len(silent):
            if end - start >= _LAST_SILENCE_S:
                spans.append((start + min(_SHUT_AFTER_S, (end - start) / 2), end))
        elif end - start > _SILENCE_S:
            # A recording that starts silent starts shut.
            spans.append((start + (_SHUT_AFTER_S if start > 0 else 0), end - _OPEN_BEFORE_S))
    return [(start, end) for start, end in spans if end > start]


def _end_gate(features: AudioFeatures, fps: int) -> F32:
    """1 at the last video frame, ramped: a video never ends on an open mouth."""
    end = features.duration_s
    return _gate(
        [(end - max(_LAST_SHUT_S, 1 / fps - LEAD_S), end + 1)], len(features.loudness), 0, _LAST_RAMP_S
    )


def _blend(segments: list[Segment], count: int) -> F32:
    """Dominance-weighted mean of all targets at 100 Hz (count, 6)."""
    total = np.zeros((count, 6))
    weight = np.full((count, 6), _REST_WEIGHT)
    for segment in segments:
        shape = vis.SHAPES[segment.viseme]
        half = (segment.end_s - segment.start_s) / 2
        middle = (segment.start_s + segment.end_s) / 2
        span = half + _REACHES * shape.reach_s
        first = max(0, int((middle - span) * FEATURE_RATE))
        last = min(count, int((middle + span) * FEATURE_RATE) + 2)
        if first >= last:
            continue
        away = np.abs(np.arange(first, last) / FEATURE_RATE - middle)
        # The core of a sound, its middle 70 %, has full weight.
        felt = np.exp(-np.maximum(0, away - 0.7 * half) / shape.reach_s)
        influence = felt[:, None] * np.array(shape.dominance)
        total[first:last] += influence * np.array(shape.target)
        weight[first:last] += influence
    return np.asarray(total / weight, np.float32)


def _gate(spans: list[tuple[float, float]], count: int, shortest_s: float, ramp_s: float) -> F32:
    """1 inside the spans (widened to `shortest_s`), 0 elsewhere, with linear ramps outside them."""
    gate = np.zeros(count, np.float32)
    for start, end in spans:
        widen = max(0.0, shortest_s - (end - start)) / 2
        low, high = start - widen, end + widen
        first = max(0, int((low - ramp_s) * FEATURE_RATE))
        last = min(count, int((high + ramp_s) * FEATURE_RATE) + 2)
        if first >= last or high <= low:
            continue
        times = np.arange(first, last) / FEATURE_RATE
        outside = np.maximum(np.maximum(low - times, times - high), 0)
        gate[first:last] = np.maximum(gate[first:last], np.clip(1 - outside / ramp_s, 0, 1))
    return gate


def _runs(active: Mask) -> list[tuple[float, float]]:
    """Start and end in seconds of each run of true frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    return [
        (int(a) / FEATURE_RATE, int(b) / FEATURE_RATE) for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def _to_frames(track: F32, features: AudioFeatures, fps: int, closures: list[tuple[float, float]]) -> F32:
    """Sample at the video's frame times; the frame nearest to each closure's middle is closed for certain."""
    frames = features.frame_count(fps)
    rows = at_frames(track, frames, fps, lead_s=LEAD_S)
    for start, end in closures:
        nearest = round(((start + end) / 2 - LEAD_S) * fps)
        if 0 <= nearest < frames:
            rows[nearest, vis.OPEN] = 0.0
            rows[nearest, vis.UPPER_RAISE] = 0.0
            rows[nearest, vis.LOWER_DROP] = 0.0
            rows[nearest, vis.PRESS] = max(float(rows[nearest, vis.PRESS]), 0.6)
    return rows


def at_frames(track: F32, frames: int, fps: int, *, lead_s: float = 0.0) -> F32:
    """Linear samples of a 100 Hz track (n, c) at the video's frame times, `lead_s` ahead."""
    position = np.clip((np.arange(frames) / fps + lead_s) * FEATURE_RATE, 0, len(track) - 1)
    low = position.astype(np.intp)
    high = np.minimum(low + 1, len(track) - 1)
    part = (position - low).astype(np.float32)[:, None]
    return np.asarray(track[low] * (1 - part) + track[high] * part, np.float32)


def _smooth(track: F32, sigma_s: float) -> F32:
    return smooth(track, sigma_s * FEATURE_RATE)


def smooth(track: F32, sigma: float) -> F32:
    """Gaussian smoothing of each column, sigma in rows; the ends are repeated."""
    radius = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    padded = np.pad(track, ((radius, radius), (0, 0)), "edge")
    columns = [np.convolve(padded[:, c], kernel, "valid") for c in range(track.shape[1])]
    return np.stack(columns, axis=1).astype(np.float32)
