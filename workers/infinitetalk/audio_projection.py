"""Speech features become audio tokens, a few for each latent frame.

Runs in the InfiniteTalk worker, once in a pass. A latent frame after the first stands for four pixel
frames, so its features are gathered from four windows; the first stands for one. Shapes, with P
speakers, F = 4 (T - 1) + 1 pixel frames, windows of W = 5 feature vectors of 12 layers by 768:

windows (P, F, W, 12, 768) -> first (P, 1, W, 12, 768), later (P, T - 1, W + 3, 12, 768)
                           -> tokens (P, T, N, width), N = 32 in the full model

Source: InfiniteTalk's published model, tensors `audio_proj.*`.
"""

from __future__ import annotations

import torch
from diffusers.models.normalization import FP32LayerNorm
from torch import nn
from torch.nn import functional

from workers.infinitetalk.config import VAE_TIME

# Below this many bytes a number the weights are stored for size, not to calculate with.
_CALCULATING = (torch.float32, torch.bfloat16, torch.float16)


def split_windows(audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows (P, F, W, 12, 768) as those of the first latent frame and of the later ones.

    Of the four windows of a later frame, the first gives its past and its centre, the two in the
    middle their centres, the last its centre and its future: 3 + 1 + 1 + 3 vectors.
    """
    frames, window = audio.shape[1], audio.shape[2]
    if (frames - 1) % VAE_TIME:
        raise ValueError(f"{frames} audio windows do not fill latent frames of {VAE_TIME}")
    centre = window // 2
    groups = audio[:, 1:].unflatten(1, (-1, VAE_TIME))
    past = groups[:, :, 0, : centre + 1]
    middle = groups[:, :, 1:-1, centre]
    future = groups[:, :, -1, centre:]
    return audio[:, :1], torch.cat([past, middle, future], dim=2)


class LongSum(nn.Linear):
    """A linear layer over 46 080 or 73 728 numbers, which is many to add up in fp32.

    The rounding of such a sum depends on the processor's order of adding and reaches 1e-5, so weights
    that are plain fp32 are multiplied in fp64. It is one small product in a pass. Weights of half
    precision are added in fp32 by the hardware, and their own rounding is larger than the sum's.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if type(self.weight) is nn.Parameter and self.weight.dtype == torch.float32 == x.dtype:
            return functional.linear(x.double(), self.weight.double(), self.bias.double()).float()
        return super().forward(x)


class AudioProjection(nn.Module):
    """Three linear layers with ReLU between; the first one differs for the first latent frame."""

    def __init__(self, window: int, layers: int, width: int, hidden: int, dim: int, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.proj1 = LongSum(window * layers * width, hidden)
        self.proj1_vf = LongSum((window + VAE_TIME - 1) * layers * width, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, tokens * dim)
        self.norm = FP32LayerNorm(dim, eps=1e-5)

    def forward(self, first: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
        if self.proj1.weight.dtype in _CALCULATING:
            first, later = first.to(self.proj1.weight.dtype), later.to(self.proj1.weight.dtype)
        hidden = torch.cat([self.proj1(first.flatten(2)), self.proj1_vf(later.flatten(2))], dim=1)
        hidden = functional.relu(self.proj2(functional.relu(hidden)))
        return self.norm(self.proj3(hidden).unflatten(-1, (self.tokens, -1)))
