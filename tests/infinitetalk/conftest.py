"""The engine's tests need torch, which lives in an environment of its own.

Where torch is missing (the service's environment) nothing here is collected, so the main suite walks by.
With torch, two threads: the machines that run this are shared, and sums must not depend on their size.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(2)
