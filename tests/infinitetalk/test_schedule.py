"""The times of a run against the official ones, and the Euler step against a field that is known."""

from __future__ import annotations

import itertools

import pytest
import torch

from tests.infinitetalk.tiny import golden, named_input
from workers.infinitetalk.schedule import euler_step, timesteps


@pytest.mark.parametrize(("steps", "shift"), [(40, 7), (40, 11), (8, 2), (4, 2)])
def test_times_are_the_official_ones(steps: int, shift: int) -> None:
    assert torch.equal(timesteps(steps, float(shift)), golden()[f"timesteps/{steps}_{shift}"])


def test_leaving_out_the_last_step_goes_on_to_zero() -> None:
    times = timesteps(4, 2.0, skip_last_step=True)
    assert times.round().int().tolist() == [1000, 800, 501, 0]
    assert torch.equal(times[:3], timesteps(4, 2.0)[:3])


def test_a_single_step_is_never_left_out() -> None:
    assert timesteps(1, 7.0, skip_last_step=True).tolist() == [1000.0, 0.0]


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a step"):
        timesteps(0, 7.0)


def test_the_true_velocity_leads_from_noise_to_the_picture() -> None:
    picture, noise = named_input("picture", 1, 16, 2, 4, 4), named_input("noise", 1, 16, 2, 4, 4)
    latents = noise
    times = timesteps(8, 2.0)
    for now, then in itertools.pairwise(times):
        latents = euler_step(latents, noise - picture, now, then)
        share = then / 1000
        assert torch.allclose(latents, (1 - share) * picture + share * noise, atol=1e-5)
    assert (latents - picture).abs().max() <= 5e-6


def test_leaving_out_the_last_step_changes_almost_nothing_for_a_smooth_field() -> None:
    """A field that pulls towards a target from everywhere: dx/dt = x - target, in units of the run."""
    target, start = named_input("target", 1, 16, 2, 4, 4), named_input("start", 1, 16, 2, 4, 4)

    def end(*, skip: bool) -> torch.Tensor:
        latents = start
        times = timesteps(8, 2.0, skip_last_step=skip)
        for now, then in itertools.pairwise(times):
            latents = euler_step(latents, latents - target, now, then)
        return latents

    assert (end(skip=True) - end(skip=False)).abs().max() <= 0.01 * (start - target).abs().max()
