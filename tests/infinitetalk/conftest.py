"""The engine's tests need torch, which lives in an environment of its own.

Where torch is missing (the service's environment) nothing here is collected, so the main suite walks by.
With torch, two threads: the machines that run this are shared, and sums must not depend on their size.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch
    from diffusers.models.attention_dispatch import attention_backend

    torch.set_num_threads(2)

    @pytest.fixture(autouse=True)
    def _native_attention() -> Iterator[None]:
        """diffusers keeps the backend that one model was given for every model of the process."""
        with attention_backend("native"):
            yield
