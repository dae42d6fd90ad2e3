"""Missing weights are named as the catalogue names them, of the set that somebody has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.infinitetalk.tiny_worker import Bench, Recorder, of_two
from workers.handler import TaskError
from workers.infinitetalk.tiny_model import make_models


def test_missing_weights_are_named_as_the_catalogue_names_them(tmp_path: Path) -> None:
    root = make_models(tmp_path / "models")
    (root / "single" / "single_tiny.safetensors").unlink()
    (root / "vae" / "model.safetensors").unlink()
    bench = Bench(tmp_path / "job", tmp_path / "models")
    bench.root.mkdir()
    with pytest.raises(TaskError, match="infinitetalk-bf16, infinitetalk-encoders") as caught:
        bench.handler().run(bench.task(), Recorder())
    assert caught.value.code == "model_missing"


def test_who_has_16_bits_is_told_to_complete_those(tmp_path: Path) -> None:
    """The tiny transformer lies there in fp32: its set in the catalogue is the one in 16 bits, not fp8's."""
    root = make_models(tmp_path / "models")
    (root / "multi" / "multi_tiny.safetensors").unlink()
    bench = Bench(tmp_path / "job", tmp_path / "models")
    bench.root.mkdir()
    with pytest.raises(TaskError, match=r"missing: infinitetalk-multi-bf16\.") as caught:
        bench.handler().run(of_two(bench, 0.5, 0.6), Recorder())
    assert caught.value.code == "model_missing"
    half = load_file(root / "base" / "wan_tiny.safetensors")
    eight = {key: value.to(torch.float8_e4m3fn) for key, value in half.items()}
    save_file(eight, root / "base" / "wan_tiny.safetensors")
    with pytest.raises(TaskError, match=r"missing: infinitetalk-multi\."):
        bench.handler().run(of_two(bench, 0.5, 0.6), Recorder())
    (root / "base" / "wan_tiny.safetensors").unlink()
    (root / "single" / "single_tiny.safetensors").unlink()
    with pytest.raises(TaskError, match=r"missing: infinitetalk-base, infinitetalk-single\."):
        bench.handler().run(bench.task(), Recorder())
