"""The in-memory twin of the NVIDIA driver: GPUs that are told to it, and memory that a test fills and frees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backend.engines.gpu_pool import GpuFacts


def gpu(
    index: int = 0,
    *,
    total_mib: int = 24_000,
    free_mib: int | None = None,
    capability: tuple[int, int] = (8, 9),
) -> GpuFacts:
    """A card with most of its memory free."""
    free = total_mib - 500 if free_mib is None else free_mib
    return GpuFacts(index, f"GPU-{index:08x}-twin", f"Twin {index}", total_mib, free, capability)


class TwinDriver:
    """`gpus` may be changed at any time; `looks` counts how often somebody asked."""

    def __init__(self, gpus: Sequence[GpuFacts] = ()) -> None:
        self.gpus = list(gpus)
        self.looks = 0

    def look(self) -> tuple[GpuFacts, ...]:
        self.looks += 1
        return tuple(self.gpus)

    def set_free(self, index: int, free_mib: int) -> None:
        self.gpus = [replace(one, free_mib=free_mib) if one.index == index else one for one in self.gpus]
