"""Several GPUs of one machine share every pass of the transformer: what the first one and the others agree on.

Runs in the InfiniteTalk worker (rank 0, `ranks.py`) and in its helper processes (`rank.py`), one for each further
GPU. Sharing is diffusers' context parallelism (Ulysses): each rank holds all weights and an equal run of the
window's tokens, and they exchange heads for tokens around each attention. What a pass is given is sent from rank
0, the velocity is whole on every rank; everything else of a film happens on rank 0 alone.

Exact on the CPU with gloo, which the tests use. NCCL, which GPUs need, was not tested; PyTorch has none for
Windows, so there one GPU works alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

# A pass takes seconds, on the slowest card and the largest picture minutes; a rank that says nothing for so
# long has died or hangs.
PASS_S = 900.0
# More than this many GPUs are in no machine that these films are made for.
MOST = 8

# What a pass is given, in the order in which it is sent.
INPUTS = (
    "hidden_states",
    "timestep",
    "encoder_hidden_states",
    "encoder_hidden_states_image",
    "audio",
    "ref_masks",
)
# name -> [type, shape], or None for what this pass has not.
Outline = dict[str, Any]


def backend_of(device: Any) -> str | None:
    """How ranks on such devices speak with each other; None when they cannot."""
    if not dist.is_available():
        return None
    if device.type == "cpu":
        return "gloo"
    return "nccl" if dist.is_nccl_available() else None


def gpus_for(wanted: int | None, device: Any, heads: int, tokens: int) -> int:
    """How many GPUs take part: as many as wanted (None: all that this process sees) and can share equally.

    On the CPU nobody shares unless asked to.
    """
    if backend_of(device) is None:
        return 1
    seen = MOST if device.type == "cpu" else int(torch.cuda.device_count())
    most = min(MOST, seen, wanted or (1 if device.type == "cpu" else seen))
    return max(count for count in range(1, most + 1) if heads % count == 0 and tokens % count == 0)


def meet(store: Path, rank: int, ranks: int, device: Any) -> None:
    """Join the group. Every rank must call this; the others are waited for, at most `PASS_S`."""
    dist.init_process_group(
        backend_of(device),
        store=dist.FileStore(str(store), ranks),
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=PASS_S),
    )


def share(transformer: Any, ranks: int) -> None:
    """Make the transformer hold its rank's run of the tokens, after loading and placing."""
    from diffusers import ContextParallelConfig

    counted = torch.accelerator.device_count
    # diffusers takes the rank modulo the number of accelerators, and a machine without one has none.
    torch.accelerator.device_count = lambda: counted() or 1
    try:
        transformer.enable_parallelism(config=ContextParallelConfig(ulysses_degree=ranks))
    finally:
        torch.accelerator.device_count = counted


def outline(inputs: Mapping[str, Any]) -> Outline:
    """What the others must know before the numbers of a pass are sent."""

    def of(tensor: Any) -> Any:
        return None if tensor is None else [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]

    return {name: of(inputs.get(name)) for name in INPUTS}


def send(inputs: Mapping[str, Any]) -> None:
    """Rank 0: the tensors of a pass."""
    for name in INPUTS:
        if inputs.get(name) is not None:
            dist.broadcast(inputs[name].contiguous(), 0)


def receive(told: Outline, device: Any) -> dict[str, Any]:
    """The others: the same."""
    received: dict[str, Any] = {}
    for name in INPUTS:
        if told[name] is None:
            received[name] = None
            continue
        dtype, shape = told[name]
        received[name] = torch.empty(shape, dtype=getattr(torch, dtype), device=device)
        dist.broadcast(received[name], 0)
    return received
