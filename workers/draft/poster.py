"""The moment that stands for a video in lists: eyes open, lips at ease. Runs in the draft worker.

Flow: how everybody moves -> the frame nearest to a third of the video in which nobody blinks and no mouth is wide open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workers.draft.motion import Motion, Pose

# Where in the video a moment is looked for first.
POSTER_AT = 1 / 3
# A lid that is down by this much looks sleepy.
_LIDS_UP = 0.08
# Lips at ease: no further apart, rounder or tighter than this part of the widest of the video.
_AT_EASE = 0.45
_LIDS = [Pose._fields.index(name) for name in ("blink_right", "blink_left")]
_LIPS = [Pose._fields.index(name) for name in ("open", "pucker", "press")]


def poster_frame(motions: Sequence[Motion]) -> int:
    """Index of the frame. Where eyes are never open and lips never at ease together, the least bad one."""
    tracks = np.stack([motion.track for motion in motions])
    lids = tracks[..., _LIDS].max(axis=(0, 2))
    lips = np.maximum(tracks[..., _LIPS], 0)
    # Of each person and channel by itself: a quiet mouth may not be hidden behind a lively one.
    widest = np.maximum(lips.max(axis=1, keepdims=True), np.float32(1e-3))
    unease = (lips / widest).max(axis=(0, 2))
    frames = len(lids)
    away = np.abs(np.arange(frames) - frames * POSTER_AT) / frames
    # Open eyes come first, then lips, then the place.
    worse = np.maximum(0, lids - _LIDS_UP) * 100 + np.maximum(0, unease - _AT_EASE) * 10 + away
    return int(np.argmin(worse))
