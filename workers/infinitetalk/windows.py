"""A film of any length as windows that overlap, and what a window leaves behind for the next one.

Runs in the InfiniteTalk worker. A window has WINDOW pixel frames; the first MOTION of every window but
the first are the last MOTION of the one before, so each later window adds WINDOW - MOTION new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

from workers.infinitetalk.colour import LabStatistics

_BYTE_MAX = 255


@dataclass(frozen=True)
class WindowPlan:
    """Where the windows of a film lie."""

    frames: int  # of the film
    window: int
    motion: int

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"a film needs a frame, not {self.frames}")
        # A latent frame is four pixel frames, the first one a single frame: only 4 n + 1 can be coded.
        if self.window % 4 != 1 or self.motion % 4 != 1 or not 0 < self.motion < self.window:
            raise ValueError(f"windows of {self.window} frames cannot continue from {self.motion}")

    @property
    def stride(self) -> int:
        return self.window - self.motion

    @property
    def count(self) -> int:
        """Windows of the film: one, and as many more as its frames beyond the first need."""
        return 1 + max(0, -(-(self.frames - self.window) // self.stride))

    def first(self, index: int) -> int:
        """Frame of the film that window `index` begins with, its motion frames included."""
        return index * self.stride

    def pinned(self, index: int) -> int:
        """Pixel frames of window `index` that are given: the reference, or the motion frames."""
        return self.motion if index else 1

    def new(self, index: int) -> slice:
        """Frames of window `index` that no earlier one has and that the film still needs."""
        return slice(self.motion if index else 0, min(self.window, self.frames - self.first(index)))


@dataclass(frozen=True)
class Checkpoint:
    """All that a window needs of the earlier ones. Everything is on the CPU."""

    next_window: int
    motion: torch.Tensor  # (3, MOTION, H, W) fp32: the last frames before it, colours matched
    colours: LabStatistics  # of the first reference picture
    noise: torch.Tensor | None  # state of the official rule's generator

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """For a safetensors file."""
        tensors = {
            "next_window": torch.tensor(self.next_window),
            "motion": self.motion,
            "colour_mean": self.colours.mean,
            "colour_spread": self.colours.spread,
        }
        if self.noise is not None:
            tensors["noise"] = self.noise
        return {name: tensor.contiguous() for name, tensor in tensors.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> Checkpoint:
        return cls(
            int(tensors["next_window"]),
            tensors["motion"],
            LabStatistics(tensors["colour_mean"], tensors["colour_spread"]),
            tensors.get("noise"),
        )


@dataclass(frozen=True)
class Window:
    """New frames of a film, in order."""

    index: int
    windows: int
    first_frame: int  # of the film
    pixels: torch.Tensor  # (3, F, H, W) fp32 RGB in [-1, 1], CPU
    checkpoint: Checkpoint | None  # None after the last one

    def to_uint8(self) -> torch.Tensor:
        """(F, H, W, 3) RGB, for a video file."""
        scaled = (self.pixels.permute(1, 2, 3, 0) + 1) * (_BYTE_MAX / 2)
        return scaled.round_().clamp_(0, _BYTE_MAX).to(torch.uint8)
