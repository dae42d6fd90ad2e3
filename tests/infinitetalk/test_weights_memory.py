"""Host memory while weights are loaded: what is planned, what is counted, and what is really alive."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.infinitetalk import tiny, weight_files
from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.weights.stream import LoadPlan, LoadReport, empty, host_budget, load_transformer

GB = 10**9
# Larger than the golden model, so that one parameter is small beside the whole: 31 million numbers.
MIDDLE = ModelConfig(
    heads=4, layers=6, ffn_dim=1024, text_dim=32, audio_hidden=8, audio_dim=32, audio_tokens=4
)
# Rotary tables, the interpreter's small tensors: nothing that grows with the weights.
ODDS = 2_000_000


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of every storage that torch makes on the host and that is still held."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if type(value) is torch.Tensor and value.device.type == "cpu":
                self._count(value.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or size == 0:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def middle_state() -> dict[str, torch.Tensor]:
    return {key: torch.full(shape, 0.01) for key, shape in tiny.official_shapes(MIDDLE).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def shards(folder: Path) -> list[Path]:
    return weight_files.official(middle_state(), folder)


@pytest.fixture(scope="module")
def fp8_files(folder: Path) -> list[Path]:
    return weight_files.comfy_scaled(middle_state(), folder)


def loaded(
    paths: list[Path], storage: str, dtype: torch.dtype
) -> tuple[LiveBytes, LoadReport, torch.nn.Module]:
    reports: list[LoadReport] = []
    plan = LoadPlan(storage)  # type: ignore[arg-type]
    gc.collect()
    with LiveBytes() as alive:
        model = load_transformer(MIDDLE, paths, dtype, "cpu", plan, on_report=reports.append)
    return alive, reports[0], model


@pytest.mark.parametrize("storage", ["full", "fp8"])
@pytest.mark.parametrize("files", ["shards", "fp8_files"])
def test_what_is_alive_is_what_was_planned(storage: str, files: str, request: pytest.FixtureRequest) -> None:
    paths = request.getfixturevalue(files)
    alive, report, model = loaded(paths, storage, torch.bfloat16)
    assert model is not None
    # The ledger speaks the truth: it never says less than what torch really held.
    assert alive.peak <= report.peak_bytes + ODDS
    assert abs(alive.live - report.resident_bytes) <= ODDS
    assert report.peak_bytes <= report.budget_bytes
    largest = max(4 * value.numel() for value in middle_state().values())
    # Beside what stays: one parameter as read, as made, and in fp32 on the way between.
    assert report.peak_bytes <= report.resident_bytes + 6 * largest
    assert alive.peak < sum(4 * value.numel() for value in middle_state().values())


@pytest.mark.parametrize("storage", ["int8", "layerwise_fp8"])
def test_quantised_while_loading_is_within_the_plan(storage: str, shards: list[Path]) -> None:
    _, report, _ = loaded(shards, storage, torch.bfloat16)
    assert report.peak_bytes <= report.budget_bytes


def test_the_report_is_a_sentence_with_the_peak_in_it(shards: list[Path]) -> None:
    _, report, _ = loaded(shards, "full", torch.bfloat16)
    assert f"{report.peak_bytes / 1e9:.2f} GB at most" in str(report)
    assert "official shards, f32, 3 files" in str(report)


@pytest.mark.parametrize(
    ("storage", "limit"), [("full", 40 * GB), ("fp8", 20 * GB), ("int8", 20 * GB + GB // 10)]
)
def test_the_whole_model_fits_by_construction(storage: str, limit: int) -> None:
    """The 18.88 billion parameters, by their shapes: no memory is taken."""
    model = empty(lambda: InfiniteTalkTransformer(**ModelConfig.full().transformer_kwargs()))
    assert sum(value.numel() for value in model.parameters()) == 18_882_046_784
    peak, resident = host_budget(model, storage, torch.bfloat16)  # type: ignore[arg-type]
    assert resident < peak <= limit
    # With a GPU as the device only the parameter that is on its way is on the host.
    peak, resident = host_budget(model, storage, torch.bfloat16, "cuda")  # type: ignore[arg-type]
    assert resident == 0
    assert peak < 3 * GB
