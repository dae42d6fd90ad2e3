"""How much host memory loading takes: known before, counted while it happens.

Runs in the InfiniteTalk worker. Weights go through the host one parameter at a time, so the peak is the
weights that stay there, plus what one parameter needs on its way. The same sum is made twice: before,
from sizes alone (`Step`s that nobody has taken yet), and while loading, from the tensors that were there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# fp8 <-> float goes through fp32 by this many numbers at once: 16 MiB of fp32.
CHUNK = 1 << 22
# At most so many bytes a number of such a chunk: two fp32 copies and the fp8.
_CHUNK_BYTES = 9
# GGUF blocks become numbers through copies of the whole tensor (diffusers' functions), bytes a number.
GGUF_SCRATCH = 16
# A LoRA is added in fp32: the numbers and what is added to them, bytes a number.
CHANGE_SCRATCH = 8


@dataclass(frozen=True)
class Step:
    """Host bytes of one parameter: as read, as made from that, scratch between, and what stays."""

    raw: int
    made: int
    scratch: int
    kept: int


class Ledger:
    """Bytes of host memory that hold weights now, and the most there were."""

    def __init__(self) -> None:
        self.live = 0
        self.peak = 0

    def take(self, step: Step) -> None:
        self.peak = max(self.peak, self.live + step.raw + step.made + step.scratch)
        self.live += step.kept


def simulate(steps: Iterable[Step]) -> tuple[int, int]:
    """(peak, resident at the end) in bytes, for parameters loaded one after the other."""
    ledger = Ledger()
    for step in steps:
        ledger.take(step)
    return max(ledger.peak, ledger.live), ledger.live


def chunk_scratch(numel: int) -> int:
    """Scratch of fp8 <-> float for a parameter of `numel` numbers."""
    return _CHUNK_BYTES * min(CHUNK, numel)


def host_bytes(*tensors: Any) -> int:
    """Bytes of these tensors on the host; 0 for what is on a GPU, on `meta`, or None."""
    return sum(
        int(tensor.numel() * tensor.itemsize)
        for tensor in tensors
        if tensor is not None and tensor.device.type == "cpu"
    )
