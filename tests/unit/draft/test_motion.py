"""Blinks, brows, head and shoulders: alive, bounded, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.draft.conftest import voiced
from workers.draft.audio_features import features_of
from workers.draft.motion import REST, Motion, Pose, plan_motion

FPS = 25


def plan(seconds: float = 20.0, seed: int = 3, amount: float = 1.0, fps: int = FPS) -> Motion:
    features = features_of(voiced(seconds, rate=16_000).astype(np.float32))
    return plan_motion(np.zeros((features.frame_count(fps), 6), np.float32), features, fps, seed, amount)


def channel(motion: Motion, name: str) -> NDArray[np.float32]:
    return motion.track[:, Pose._fields.index(name)]


def test_the_same_seed_moves_the_same_and_another_differently() -> None:
    assert np.array_equal(plan(seed=5).track, plan(seed=5).track)
    assert not np.array_equal(plan(seed=5).track, plan(seed=6).track)


@pytest.mark.parametrize("fps", [24, 25, 30, 50])
def test_every_blink_is_seen_shut_and_opens_again(fps: int) -> None:
    lids = channel(plan(30, fps=fps), "blink_right")
    started = np.flatnonzero((lids[1:] > 0) & (lids[:-1] == 0))
    assert 4 <= len(started) <= 22
    for first in started[:-1]:
        assert lids[first : first + fps].max() > 0.95
    assert (lids == 0).mean() > 0.7


def test_no_motion_asked_for_holds_head_and_body_still() -> None:
    still = plan(amount=0.0)
    for name in ("yaw", "pitch", "roll", "shift_x", "shift_y", "sway", "breath"):
        assert not channel(still, name).any(), name
    assert channel(still, "blink_right").any()


def test_head_and_shoulders_move_a_little_and_never_wildly() -> None:
    motion = plan(60)
    for name, least, most in (
        ("yaw", 0.01, 0.16),
        ("pitch", 0.005, 0.10),
        ("roll", 0.003, 0.07),
        ("sway", 0.004, 0.05),
        ("breath", 0.002, 0.02),
    ):
        values = channel(motion, name)
        assert least < np.abs(values).max() < most, name
        assert np.abs(np.diff(values)).max() < most / 6, name


def test_a_smile_relaxes_while_speaking() -> None:
    relaxed = channel(plan(20), "relax")
    assert relaxed.mean() > 0.4
    assert relaxed.max() < 1.2


def test_a_motion_holds_numbers_only() -> None:
    motion = plan(10)
    assert motion.track.dtype == np.float32
    assert motion.track.nbytes == len(motion) * len(Pose._fields) * 4
    assert len(REST) == len(Pose._fields)
