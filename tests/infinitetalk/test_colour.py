"""Colour match against the official numbers, and where pictures have no spread."""

from __future__ import annotations

import pytest
import torch

from tests.infinitetalk.tiny import golden, named_input
from workers.infinitetalk.colour import LabStatistics, match


def _frames() -> torch.Tensor:
    return torch.tanh(named_input("vid", 1, 3, 2, 12, 16))[0]


def _reference() -> torch.Tensor:
    return torch.tanh(0.3 * named_input("ref", 1, 3, 1, 12, 16))[0, :, 0]


@pytest.mark.parametrize(("strength", "name"), [(1.0, "s1"), (0.4, "s04")])
def test_match_is_the_official_one(strength: float, name: str) -> None:
    error = (match(_frames(), LabStatistics.of(_reference()), strength) - golden()[f"colour/{name}"][0]).abs()
    assert error.mean() <= 1e-6
    assert error.max() <= 1e-4


def test_strength_zero_leaves_the_frames_alone() -> None:
    frames = _frames()
    assert match(frames, LabStatistics.of(_reference()), 0.0) is frames


def test_a_matched_frame_has_the_statistics_of_the_reference() -> None:
    goal = LabStatistics.of(_reference())
    # Mild colours, so that nothing is cut off at the edge of sRGB.
    found = LabStatistics.of(match(0.2 * _frames(), goal)[:, 0])
    assert (found.mean - goal.mean).abs().max() <= 0.2
    assert (found.spread - goal.spread).abs().max() <= 0.5


def test_a_frame_matched_to_itself_stays() -> None:
    frame = _frames()[:, :1]
    assert (match(frame, LabStatistics.of(frame[:, 0])) - frame).abs().max() <= 1e-4


def test_flat_frames_take_the_mean_colour_only() -> None:
    goal = LabStatistics.of(_reference())
    for level in (-1.0, 0.3, 1.0):
        matched = match(torch.full((3, 1, 12, 16), level), goal)
        assert torch.isfinite(matched).all()
        assert matched.flatten(1).std(1).max() <= 1e-6
        assert (LabStatistics.of(matched[:, 0]).mean - goal.mean).abs().max() <= 0.05


def test_white_black_and_red_have_their_published_lab_values() -> None:
    for rgb, lab in (
        ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
        ((-1.0, -1.0, -1.0), (0.0, 0.0, 0.0)),
        ((1.0, -1.0, -1.0), (53.24, 80.09, 67.20)),
    ):
        found = LabStatistics.of(torch.tensor(rgb)[:, None, None].expand(3, 2, 2)).mean
        assert (found - torch.tensor(lab)).abs().max() <= 0.02
