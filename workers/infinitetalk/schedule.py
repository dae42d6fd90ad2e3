"""The noise schedule of a window and the step along it.

Runs in the InfiniteTalk worker. Rectified flow (Liu et al., arXiv 2209.03003): at time t of 1000 the
latents are (1 - t/1000) · picture + t/1000 · noise, and the network returns noise - picture, the
velocity. A plain Euler step walks from one time to the next.

The times run evenly from 1000 to 1, are shifted towards the noise by s·t / (1 + (s - 1)·t) (Esser et
al., arXiv 2403.03206, section 5.3.2), and end with 0.
"""

from __future__ import annotations

import torch

TRAINED_STEPS = 1000
# A schedule may drop its last step only if another one is left to reach zero.
_LEAST_STEPS_TO_SKIP = 2


def timesteps(steps: int, shift: float, *, skip_last_step: bool = False) -> torch.Tensor:
    """Times (steps + 1,) fp32, falling from 1000 to 0.

    The last step of a shifted schedule starts at t = 2 to 11 and changes almost nothing, yet costs as
    much as any other. With `skip_last_step` the step before it goes on to zero in its place.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs a step, not {steps}")
    even = torch.linspace(TRAINED_STEPS, 1, steps, dtype=torch.float64).float() / TRAINED_STEPS
    shifted = shift * even / (1 + (shift - 1) * even) * TRAINED_STEPS
    if skip_last_step and steps >= _LEAST_STEPS_TO_SKIP:
        shifted = shifted[:-1]
    return torch.cat([shifted, torch.zeros(1)])


def euler_step(
    latents: torch.Tensor, velocity: torch.Tensor, now: torch.Tensor, then: torch.Tensor
) -> torch.Tensor:
    """Latents (1, 16, T, H, W) fp32 at time `now` -> at time `then`, both scalars out of 1000."""
    return latents - velocity * ((now - then) / TRAINED_STEPS)
