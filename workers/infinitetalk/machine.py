"""The machine's free memory, and a transformer put where the plan wants it. Runs in the InfiniteTalk worker.

The only place that asks the card and the system; `memory.py` decides, from what is found here.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

# From this compute capability on (RTX 30) bf16 has units of its own; before, fp16 has.
_BF16_CAPABILITY = (8, 0)
# Locked memory is taken in pieces of this size: 18 of them hold the model in 16 bits.
CHUNK_BYTES = 2 << 30
# Where a weight may begin: what vectorised copies like.
_ALIGNMENT = 256


def device_of(name: str) -> Any:
    """`cpu`, or the one card that this process sees."""
    return torch.device("cpu") if name == "cpu" else torch.device("cuda", torch.cuda.current_device())


def numbers_of(device: Any) -> Any:
    """The type in which the transformer computes."""
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= _BF16_CAPABILITY else torch.float16


def free_vram(device: Any) -> int | None:
    """Bytes that this process may use: free ones, and those it holds already. None without a card."""
    if device.type == "cpu":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + int(torch.cuda.memory_reserved(device))


def free_ram() -> int:
    """Bytes that new memory of the host may take without swapping. Raises OSError."""
    if sys.platform == "win32":
        return _windows_free_ram()
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return min(int(line.split()[1]) * 1024, _container_free_ram())
    raise OSError("the system does not say how much memory is available")


def _container_free_ram() -> int:
    """What the control group leaves (Linux, version 2); a very large number where it sets no limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except OSError:
        return sys.maxsize
    return sys.maxsize if limit == "max" else max(0, int(limit) - used)


def _windows_free_ram() -> int:
    """GlobalMemoryStatusEx; not tested on Windows."""

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "page_total", "page_available")),
            *((name, ctypes.c_uint64) for name in ("virtual_total", "virtual_available", "extended")),
        )

    status = Status(length=ctypes.sizeof(Status))
    windll: Any = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("the system does not say how much memory is available")
    return int(status.available)


def load_device(placement: str, device: Any) -> Any:
    """Where weights are to be read to: streamed ones wait on the host."""
    return torch.device("cpu") if placement == "streamed" else device


def place(transformer: Any, placement: str, device: Any) -> None:
    """After loading, and after LoRAs: streaming begins with the first pass."""
    if placement != "streamed":
        return
    from diffusers.hooks.group_offloading import apply_group_offloading

    overlapped = device.type == "cuda"
    if overlapped:
        pack(transformer, pinned=True)
    # A block computes while the next one travels on a stream of its own; the block's memory is given back
    # to the allocator when the computing stream is through with it, without waiting for it.
    apply_group_offloading(
        transformer,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=overlapped,
        record_stream=overlapped,
    )


def pack(module: nn.Module, *, pinned: bool, chunk: int = CHUNK_BYTES) -> int:
    """Move the weights into large chunks of host memory, locked when `pinned`; returns the chunks' bytes.

    Only from locked memory can be copied while the card computes. Left to itself, group offloading locks
    a copy of every weight, in memory rounded up to a power of two (141 MB take 256), before it frees the
    first original: up to three times the weights. Chunks are powers of two and filled to the brim, and a
    weight's original goes as soon as it is copied: one chunk more than the weights at any time.

    Weights that are more than numbers in memory (GGUF, torchao) are left to group offloading.
    """
    tensors = [*module.parameters(), *module.buffers()]
    plain = [
        tensor for tensor in tensors if type(tensor.data) is torch.Tensor and tensor.device.type == "cpu"
    ]
    total = 0
    for chunk_bytes, members in _packed(plain, chunk):
        memory = torch.empty(chunk_bytes, dtype=torch.uint8, pin_memory=pinned)
        total += chunk_bytes
        for tensor, offset in members:
            data = tensor.data
            there = memory[offset : offset + data.nbytes].view(data.dtype).view(data.shape)
            tensor.data = there.copy_(data)
    return total


def give_back_pinned() -> None:
    """Locked memory that is free goes back to the system; torch keeps it otherwise, as much as the weights.

    Without this the next weights would be read beside those that are gone. Not tested on a GPU.
    """
    public = getattr(torch.accelerator, "empty_host_cache", None) if hasattr(torch, "accelerator") else None
    empty = public or getattr(torch._C, "_host_emptyCache", None)
    if empty is not None:
        empty()


def _packed(tensors: Sequence[Any], chunk: int) -> list[tuple[int, list[tuple[Any, int]]]]:
    """Chunks as (bytes, [(tensor, offset)]): the largest first, each into the first chunk with room."""
    open_chunks: list[tuple[int, list[tuple[Any, int]]]] = []
    for tensor in sorted(tensors, key=lambda tensor: tensor.data.nbytes, reverse=True):
        size = -(-tensor.data.nbytes // _ALIGNMENT) * _ALIGNMENT
        if not size:
            continue
        for number, (used, members) in enumerate(open_chunks):
            if used + size <= chunk:
                members.append((tensor, used))
                open_chunks[number] = (used + size, members)
                break
        else:
            open_chunks.append((size, [(tensor, 0)]))
    # The allocator of locked memory rounds up to a power of two; the last chunk need not be a whole one.
    return [(1 << (used - 1).bit_length(), members) for used, members in open_chunks]
