"""Rotation of neighbouring channel pairs by an angle (RoPE, interleaved).

Runs in the InfiniteTalk worker, in every attention layer: (B, L, heads, d) in and out.
Self-attention takes its angles from diffusers (time, row, column); the audio attention of two
speakers takes them from one position a token.
"""

from __future__ import annotations

import torch

BASE = 10000.0


def rotate_pairs(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """`x` (B, L, heads, d) with channels (2i, 2i + 1) rotated; cos and sin (1 or B, L, 1, d / 2), fp32."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    out = torch.empty_like(x)
    out[..., 0::2] = even * cos - odd * sin
    out[..., 1::2] = even * sin + odd * cos
    return out


def line_angles(positions: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin (..., 1, width / 2) of positions (...) on a line; the 1 is for the heads."""
    steps = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device) / width
    angles = positions.float()[..., None, None] * (1.0 / BASE**steps)
    return angles.cos(), angles.sin()
