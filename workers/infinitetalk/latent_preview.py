"""A small picture of what is being drawn. Runs in the InfiniteTalk worker, after a step, on the task's thread.

Flow: latents (1, 16, T, h, w) -> the middle latent frame -> RGB (h, w, 3) -> `preview.jpg`.

Latents are not decoded for this: on a full card that could be the allocation that fails. A linear map from
the 16 channels to RGB is fitted to the one picture whose latents and pixels are both known, the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn import functional

from workers.wan2gp.previews import Previews

_BYTE_MAX = 255
# Least squares with a little ridge: a picture of one colour has fewer dimensions than the map.
_RIDGE = 1e-3
# A latent pixel is 8 pixels: drawn so large, the picture can be recognised.
_ENLARGED = 4


class LatentPreview:
    """Writes one file, at most every two seconds."""

    def __init__(self, path: Path, latent: torch.Tensor, picture: torch.Tensor) -> None:
        """`latent` (1, 16, 1, h, w) of `picture` (3, H, W) in [-1, 1]."""
        self._file = Previews(path)
        self._map = fit(latent, picture)

    def show(self, latents: torch.Tensor) -> None:
        """(1, 16, T, h, w). Raises OSError."""
        self._file.take(_Lazy(self._map, latents))


class _Lazy:
    """A picture that is made when it is time for one."""

    def __init__(self, linear: torch.Tensor, latents: torch.Tensor) -> None:
        self._linear = linear
        self._latents = latents

    def convert(self, mode: str) -> Any:
        return picture_of(self._linear, self._latents).convert(mode)


def fit(latent: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    """(17, 3) fp32: 16 channels and a constant -> RGB in [-1, 1]."""
    height, width = latent.shape[-2:]
    goal = functional.adaptive_avg_pool2d(picture.float().cpu()[None], (height, width))[0].flatten(1).T
    known = _rows(latent[0, :, 0])
    ridge = _RIDGE * known.shape[0] * torch.eye(known.shape[1])
    return torch.linalg.solve(known.T @ known + ridge, known.T @ goal)


def picture_of(linear: torch.Tensor, latents: torch.Tensor) -> Image.Image:
    """The middle latent frame as a picture, enlarged."""
    middle = latents[0, :, latents.shape[2] // 2]
    height, width = middle.shape[-2:]
    colours = (_rows(middle) @ linear + 1) * (_BYTE_MAX / 2)
    pixels = colours.round_().clamp_(0, _BYTE_MAX).to(torch.uint8).reshape(height, width, 3)
    small = Image.fromarray(pixels.numpy())
    return small.resize((width * _ENLARGED, height * _ENLARGED), Image.Resampling.BICUBIC)


def _rows(latent: torch.Tensor) -> torch.Tensor:
    """(16, h, w) -> (h · w, 17) fp32 on the CPU, the last column ones."""
    rows = latent.float().cpu().flatten(1).T
    return torch.cat([rows, torch.ones(rows.shape[0], 1)], dim=1)
