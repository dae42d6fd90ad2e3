"""The self-test of an engine's environment. Runs in that environment's Python, as a file, with nothing of ours.

In: the number type to compute in, and the modules to import. Out: one line of JSON. With a GPU, a small product of
matrices is computed on it in the type that the engines use: only that proves that build, driver and card fit each other.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from typing import Any


def probe(dtype: str, modules: list[str]) -> dict[str, Any]:
    """What can be said about this environment."""
    facts: dict[str, Any] = {
        "torch": None,
        "cuda": None,
        "gpu": None,
        "computed": False,
        "imported": [],
        "error": None,
    }
    step = "torch"
    try:
        torch = importlib.import_module("torch")
        facts["torch"] = str(torch.__version__)
        facts["cuda"] = torch.version.cuda
        for step in modules:
            importlib.import_module(step)
            facts["imported"].append(step)
        step = "gpu"
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name(0)
            ones = torch.ones((64, 64), dtype=getattr(torch, dtype), device="cuda")
            facts["computed"] = bool((ones @ ones).sum().item() == 64.0**3)
    except Exception as error:  # noqa: BLE001 - whatever a foreign package raises is the answer
        facts["error"] = f"{step}: {type(error).__name__}: {error}"[:2000]
    return facts


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write("\n" + json.dumps(probe(sys.argv[1], sys.argv[2:])) + "\n")
