"""The random numbers of a run, and the rule by which a window's can be had without the earlier ones'.

Runs in the InfiniteTalk worker. Numbers are drawn on the CPU in fp32, so that a seed means the same film
on every card.

Our rule: each window has a generator of its own, seeded from the run's seed and the window's number.
The official rule draws everything from one generator, including numbers it never uses (noise for the
motion latents, before and after every step, which are overwritten at once); it is kept for comparison
with the official implementation, and its state travels in the checkpoint.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch


class Noise(Protocol):
    """Random numbers of one run, asked for window by window."""

    def latents(self, window: int, shape: tuple[int, ...]) -> torch.Tensor:
        """What window `window` starts from: standard normal, fp32, CPU."""

    def motion(self, shape: tuple[int, ...]) -> None:
        """Called where the official implementation draws noise for the motion latents."""

    def state(self) -> torch.Tensor | None:
        """What a checkpoint must hold, bytes (N,), or None."""


class WindowNoise:
    """Our rule."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def latents(self, window: int, shape: tuple[int, ...]) -> torch.Tensor:
        digest = hashlib.sha256(f"{self._seed}/{window}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        return torch.randn(shape, generator=generator)

    def motion(self, shape: tuple[int, ...]) -> None:
        """Nothing: our motion latents are clean."""

    def state(self) -> torch.Tensor | None:
        return None


class OfficialNoise:
    """The official rule. `state` continues a run from a checkpoint."""

    def __init__(self, seed: int, state: torch.Tensor | None = None) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        if state is not None:
            self._generator.set_state(state)

    def latents(self, window: int, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator)

    def motion(self, shape: tuple[int, ...]) -> None:
        torch.randn(shape, generator=self._generator)

    def state(self) -> torch.Tensor | None:
        return self._generator.get_state()
