"""Two processes share one pass through gloo and reach what one process reaches alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from tests.infinitetalk.context_rank import cases
from tests.infinitetalk.tiny import tiny_model

ROOT = Path(__file__).parents[2]
RANKS = 2
DEADLINE_S = 180


def run_ranks(folder: Path) -> list[dict[str, torch.Tensor]]:
    """What each process reached, in order of rank. A process that fails or hangs ends the others."""
    command = [sys.executable, "-m", "tests.infinitetalk.context_rank"]
    logs = [folder / f"{rank}.log" for rank in range(RANKS)]
    processes = []
    try:
        for rank, log in enumerate(logs):
            with log.open("wb") as out:
                arguments = [str(rank), str(RANKS), str(folder)]
                processes.append(
                    subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
                )
        codes = [process.wait(DEADLINE_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = "\n".join(log.read_text("utf-8", "replace")[-3000:] for log in logs)
    assert codes == [0] * RANKS, said
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


def test_two_processes_reach_what_one_does(tmp_path):
    first, second = run_ranks(tmp_path)
    model = tiny_model()
    with torch.no_grad():
        alone = {name: model(**inputs) for name, inputs in cases().items()}
    assert first.keys() == second.keys() == alone.keys()
    for name, velocity in alone.items():
        # All ranks hold the whole result, and nothing was added up in another order.
        assert torch.equal(first[name], second[name]), name
        assert torch.equal(first[name], velocity), name
