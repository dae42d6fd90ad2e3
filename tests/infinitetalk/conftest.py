"""The engine's tests need torch, which lives in an environment of its own.

Where torch is missing (the service's environment) nothing here is collected, so the main suite walks by.
With torch, one thread in each process: the suite runs in two processes, networks this small spend their time
waiting for each other's threads, and sums must not depend on the size of the machine.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    # For the workers that the tests start, too; before torch is imported.
    os.environ["OMP_NUM_THREADS"] = "1"

    import torch
    from diffusers.models.attention_dispatch import attention_backend

    torch.set_num_threads(1)

    @pytest.fixture(autouse=True)
    def _native_attention() -> Iterator[None]:
        """diffusers keeps the backend that one model was given for every model of the process."""
        with attention_backend("native"):
            yield

    from tests.infinitetalk.tiny_worker import Bench
    from workers.infinitetalk.tiny_model import make_models

    @pytest.fixture(scope="session")
    def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A model folder of tiny random networks. Not to be changed."""
        folder = tmp_path_factory.mktemp("models")
        make_models(folder)
        return folder

    @pytest.fixture
    def bench(tmp_path: Path, models_dir: Path) -> Bench:
        return Bench(tmp_path, models_dir)
