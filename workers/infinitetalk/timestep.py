"""The sinusoid that tells the transformer how noisy its input is.

Runs in the InfiniteTalk worker, once in a pass: timesteps (B,) in 0..1000 become (B, width) fp32.
diffusers computes it in fp32; at t near 1000 the angle then has an error of 3e-5, which is ten times
everything else together. The published model used fp64, and so does this.
"""

from __future__ import annotations

import torch
from torch import nn

MAX_PERIOD = 10000.0


class Fp64Timesteps(nn.Module):
    """Takes the place of diffusers' `Timesteps`: cosines first, then sines."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, timesteps: torch.Tensor) -> torch.Tensor:
        half = self.width // 2
        steps = torch.arange(half, dtype=torch.float64, device=timesteps.device)
        angles = timesteps.double()[:, None] * MAX_PERIOD ** (-steps / half)
        return torch.cat([angles.cos(), angles.sin()], dim=-1).float()
