"""The moment that stands for a video: never a blink, never a mouth wide open, also of two people."""

from __future__ import annotations

import numpy as np
import pytest

from workers.draft.motion import Motion, Pose
from workers.draft.poster import poster_frame

FRAMES, THIRD = 90, 30


def motion(**channels: np.ndarray) -> Motion:
    track = np.zeros((FRAMES, len(Pose._fields)), np.float32)
    for name, values in channels.items():
        track[:, Pose._fields.index(name)] = values
    return Motion(track)


def during(first: int, last: int, value: float = 1.0) -> np.ndarray:
    values = np.zeros(FRAMES, np.float32)
    values[first : last + 1] = value
    return values


def test_it_is_the_third_where_nothing_speaks_against_it() -> None:
    assert poster_frame([motion()]) == THIRD


@pytest.mark.parametrize("channel", ["blink_right", "blink_left", "open", "pucker", "press"])
def test_it_moves_out_of_a_blink_and_of_a_mouth_at_its_extreme(channel: str) -> None:
    assert poster_frame([motion(**{channel: during(28, 36)})]) == 27


def test_both_of_two_people_look_well() -> None:
    first, second = motion(blink_right=during(25, 33)), motion(open=during(34, 40, 0.2))
    assert poster_frame([first, second]) == 24


def test_open_eyes_come_before_lips_at_ease() -> None:
    shut, wide = during(0, FRAMES - 1), during(0, FRAMES - 1)
    shut[70] = 0
    assert poster_frame([motion(blink_left=shut, open=wide)]) == 70
