"""How a speaker moves besides the mouth: blinks, brows, head, shoulders. Runs in the draft worker.

Flow: mouth rows + loudness + seed -> one `Pose` per video frame. Everything is drawn from one seeded generator
before the first frame: the same seed, speech and picture give the same video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from workers.draft.arrays import F32, F64
from workers.draft.audio_features import AudioFeatures
from workers.draft.mouth_track import at_frames, smooth

# Blinks: people blink every 2 to 6 s while they speak (Bentivoglio et al. 1997), some twice in a row.
_BLINK_MEAN_S, _BLINK_SHAPE = 3.8, 4.0
_BLINK_SHORTEST_S, _BLINK_LONGEST_S = 1.4, 7.0
_BLINK_TWICE, _BLINK_TWICE_S = 0.10, 0.42
# Closing takes 80 ms, opening 200 ms; times from the start of a blink and how far the lid is down.
_BLINK_TIMES_S = (0.0, 0.045, 0.085, 0.135, 0.19, 0.25, 0.33)
_BLINK_LIDS = (0.0, 0.55, 1.0, 0.97, 0.55, 0.18, 0.0)
# How much of a smile in the picture is taken back: in speech, and in the pauses.
_RELAX_SPEAKING, _RELAX_PAUSING = 0.72, 0.45


class Pose(NamedTuple):
    """One frame. `open` in mouth widths, angles in radians, shifts in face heights, the rest 0..1."""

    open: float
    spread: float
    pucker: float
    upper_raise: float
    lower_drop: float
    press: float
    relax: float
    brow: float
    blink_right: float
    blink_left: float
    yaw: float
    pitch: float
    roll: float
    shift_x: float
    shift_y: float
    sway: float
    breath: float


REST = Pose(*([0.0] * len(Pose._fields)))


@dataclass(frozen=True)
class Motion:
    """All poses of a video: `track` (frames, channels of `Pose`), 68 bytes a frame."""

    track: F32

    def __len__(self) -> int:
        return len(self.track)

    def pose(self, frame: int) -> Pose:
        """The pose of one frame."""
        return Pose(*(float(value) for value in self.track[frame]))


def plan_motion(mouth: F32, features: AudioFeatures, fps: int, seed: int, amount: float) -> Motion:
    """Poses for mouth rows (frames, 6). `amount` scales head and body, 0 holds them still."""
    frames = len(mouth)
    rng = np.random.default_rng(seed)
    loudness = at_frames(features.loudness[:, None], frames, fps)
    voice = smooth(loudness, 0.25 * fps)[:, 0]
    accent = np.clip(smooth(loudness, 0.09 * fps)[:, 0] - smooth(loudness, 0.6 * fps)[:, 0], -0.3, 0.4)
    nod = smooth(accent[:, None], 0.08 * fps)[:, 0]

    def drift(period_s: float) -> F64:
        return _drift(frames, fps, period_s, rng)

    blink = _blinks(frames, fps, rng)
    # The head follows the body a little, as a person does who shifts weight.
    sway = drift(3.1)
    channels = {
        "relax": _relaxation(voice, fps) + 0.08 * drift(2.3),
        "brow": np.clip(_raised_brows(accent, fps) + 0.12 * drift(1.6) - 0.15 * blink, -0.3, 1.0),
        "blink_right": blink,
        "blink_left": 0.98 * blink,
        "yaw": amount * (0.036 * drift(1.5) + 0.014 * drift(0.6) * voice),
        "pitch": amount * (0.020 * drift(1.3) + 0.034 * nod - 0.010 * voice),
        "roll": amount * (0.014 * drift(1.9) + 0.004 * drift(0.7) * voice + 0.006 * sway),
        "shift_x": amount * (0.007 * drift(1.7) + 0.004 * sway),
        "shift_y": amount * (0.004 * drift(1.4) + 0.009 * nod),
        "sway": amount * 0.013 * sway,
        "breath": amount * _breath(frames, fps, rng),
    }
    track = np.empty((frames, len(Pose._fields)), np.float32)
    track[:, : mouth.shape[1]] = mouth
    for position, name in enumerate(Pose._fields[mouth.shape[1] :], start=mouth.shape[1]):
        track[:, position] = channels[name]
    return Motion(track)


def _raised_brows(accent: F32, fps: int) -> F64:
    lifted = np.clip(accent * 2.2, 0, 1)[:, None].astype(np.float32)
    return np.asarray(0.8 * smooth(lifted, 0.10 * fps)[:, 0], np.float64)


def _relaxation(voice: F32, fps: int) -> F64:
    speaking = smooth(np.clip(voice * 2.5, 0, 1)[:, None].astype(np.float32), 0.20 * fps)[:, 0]
    return np.asarray(_RELAX_PAUSING + (_RELAX_SPEAKING - _RELAX_PAUSING) * speaking, np.float64)


def _blinks(frames: int, fps: int, rng: np.random.Generator) -> F64:
    """Lid position 0 open .. 1 shut. Blinks are aligned to frames so that every one is seen shut."""
    lids = np.zeros(frames)
    at = rng.uniform(0.6, 2.0)
    while at * fps < frames:
        start = int(at * fps)
        # The second time is when the lid is down: put it on a frame.
        first = max(1, round(_BLINK_TIMES_S[2] * fps)) / fps
        length = int(_BLINK_TIMES_S[-1] * fps) + 2
        times = np.arange(length) / fps - (first - _BLINK_TIMES_S[2])
        shape = np.interp(times, _BLINK_TIMES_S, _BLINK_LIDS)
        stop = min(frames, start + length)
        lids[start:stop] = np.maximum(lids[start:stop], shape[: stop - start])
        if rng.random() < _BLINK_TWICE:
            at += _BLINK_TWICE_S
        else:
            wait = rng.gamma(_BLINK_SHAPE, _BLINK_MEAN_S / _BLINK_SHAPE)
            at += float(np.clip(wait, _BLINK_SHORTEST_S, _BLINK_LONGEST_S))
    return lids


def _breath(frames: int, fps: int, rng: np.random.Generator) -> F64:
    """Shoulders rising and falling about 15 times a minute, in face heights (negative is up)."""
    rate = 0.25 * (1 + 0.15 * _drift(frames, fps, 5.0, rng))
    phase = 2 * np.pi * (np.cumsum(rate) / fps + rng.random())
    return np.asarray(-0.006 * (0.5 + 0.5 * np.sin(phase)), np.float64)


def _drift(frames: int, fps: int, period_s: float, rng: np.random.Generator) -> F64:
    """Slow smooth noise of unit size: a cubic B-spline through random knots `period_s` apart."""
    knots = rng.normal(size=int(frames / (period_s * fps)) + 5)
    position = np.arange(frames) / (period_s * fps)
    index = position.astype(np.intp)
    t = position - index
    a, b, c, d = (knots[index + offset] for offset in range(4))
    value = (
        (1 - t) ** 3 * a + (3 * t**3 - 6 * t**2 + 4) * b + (-3 * t**3 + 3 * t**2 + 3 * t + 1) * c + t**3 * d
    ) / 6
    # The spline averages its knots; 1.6 restores unit variance.
    return np.asarray(1.6 * value, np.float64)
