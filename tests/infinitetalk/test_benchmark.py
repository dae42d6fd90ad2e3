"""The GPU benchmark: its count of operations, and that it runs where there is no GPU."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import infinitetalk_gpu as benchmark
from benchmarks.infinitetalk_flops import pass_flops
from benchmarks.infinitetalk_models import TINY, pass_inputs, random_transformer
from tests.infinitetalk.tiny import tiny_inputs, tiny_model
from workers.infinitetalk.config import ModelConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize("speakers", [1, 2])
def test_operations_are_those_that_torch_counts(speakers):
    height, width = TINY.sizes["720p"]
    model = random_transformer(TINY, CPU)
    inputs = pass_inputs(TINY, height, width, speakers, CPU)
    counter = FlopCounterMode(display=False)
    # Attention written out, so that its products are seen.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        velocity = model(**inputs)
    assert velocity.isfinite().all()
    assert pass_flops(TINY.model, height, width, TINY.window, speakers) == counter.get_total_flops()


def test_a_full_pass_costs_what_the_study_says():
    full = ModelConfig.full()
    assert pass_flops(full, 640, 640, 81, 1) == pytest.approx(1.89e15, rel=0.01)
    assert pass_flops(full, 960, 960, 81, 1) == pytest.approx(6.86e15, rel=0.01)


def test_it_measures_passes_and_windows_on_a_cpu(tmp_path, capsys):
    out = tmp_path / "results" / "tiny.json"
    benchmark.main(["--tiny", "--only", "resident,fp8 stored,streamed,window turbo", "--out", str(out)])
    rows = {
        (row["name"], row["size"], row["speakers"]): row for row in json.loads(out.read_text("utf-8"))["rows"]
    }
    assert list(rows) == [
        ("resident", "480p", 1),
        ("resident", "480p", 2),
        ("resident", "720p", 1),
        ("resident", "720p", 2),
        ("fp8 stored", "480p", 1),
        ("streamed", "480p", 1),
        ("streamed", "720p", 1),
        ("window turbo", "480p", 1),
    ]
    for key, row in rows.items():
        assert row["seconds"] > 0, row["remark"]
        if "window" not in key[0]:
            assert row["tflops"] > 0
            assert row["spread"][0] <= row["seconds"] <= row["spread"][1]
    # Four steps without the last; four new frames at 25 a second.
    assert rows["window turbo", "480p", 1]["extra"]["passes"] == 3
    assert rows["window turbo", "480p", 1]["extra"]["video_s"] == pytest.approx(4 / 25)
    assert rows["window turbo", "480p", 1]["extra"]["decode_s"] > 0
    assert "| resident | 480p | 2 |" in capsys.readouterr().out


def test_what_cannot_run_says_why(capsys):
    rows = benchmark.main(["--tiny", "--only", "cudnn"])["rows"]
    assert all(row["seconds"] is None and row["remark"].startswith("not run: ") for row in rows)
    assert len(rows) == 2
    with pytest.raises(SystemExit):
        benchmark.main(["--tiny", "--only", "cuddn"])
    assert "unknown: cuddn" in capsys.readouterr().err


def test_targets_are_judged_by_what_was_measured():
    row = benchmark.Row
    rows = [
        row("resident", "480p", seconds=5.0, share=0.44, allocated_gib=41.0),
        row("cudnn", "480p", seconds=4.0, share=0.55, allocated_gib=41.0),
        row("resident", "720p", seconds=18.0, share=0.5, allocated_gib=49.0),
        row("streamed", "480p", seconds=6.0, share=0.37, allocated_gib=9.0),
        row("window turbo", "480p", remark="not run: no memory"),
    ]
    judged = {target["figure"]: target["met"] for target in benchmark.targets(rows)}
    assert judged == {
        "share of the matrix peak at 480p, best": True,
        "resident bf16 at 480p, GiB": True,
        "resident bf16 at 720p, GiB": False,
        "streamed at 480p, GiB": True,
        "streamed at 480p, times resident": False,
    }


def test_streaming_in_the_benchmark_is_the_engines() -> None:
    model = tiny_model()
    with torch.no_grad():
        expected = tiny_model()(**tiny_inputs())
        benchmark.stream(model, CPU)
        assert any(hasattr(module, "_diffusers_hook") for module in model.modules())
        assert torch.equal(model(**tiny_inputs()), expected)
