"""One of two processes that share the passes of a tiny model; started by test_context_parallel.py.

`python -m tests.infinitetalk.context_rank RANK RANKS FOLDER`: FOLDER holds `store` (where the
processes meet) and receives `RANK.pt`: the case names with the velocity of each.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig

from tests.infinitetalk.tiny import tiny_inputs, tiny_model

DEADLINE = timedelta(seconds=120)


def cases() -> dict[str, dict[str, Any]]:
    """Arguments by name. 96 tokens, 24 a frame: two equal runs end between frames.

    `cut` has 3 frames, so that two runs of 36 tokens cut the middle one. In `single` they cut the only
    frame, so that the keys of the reference map are on both sides.
    """
    whole = {"one": tiny_inputs(), "two": tiny_inputs(speakers=2), "null": tiny_inputs(null=True)}
    cut = {f"cut {name}": _frames(inputs, 3) for name, inputs in whole.items()}
    return {**whole, **cut, "single two": _frames(whole["two"], 1)}


def _frames(inputs: dict[str, Any], frames: int) -> dict[str, Any]:
    return {
        **inputs,
        "hidden_states": inputs["hidden_states"][:, :, :frames],
        "audio": inputs["audio"][:, : 4 * (frames - 1) + 1],
    }


def main() -> None:
    rank, ranks, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), ranks)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks, timeout=DEADLINE)
    try:
        model = tiny_model()
        # diffusers takes the rank modulo the number of accelerators, and a machine without one has none.
        torch.accelerator.device_count = lambda: 1
        model.enable_parallelism(config=ContextParallelConfig(ulysses_degree=ranks))
        with torch.no_grad():
            done = {name: model(**inputs) for name, inputs in cases().items()}
        torch.save(done, folder / f"{rank}.pt")
        dist.barrier()
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
