"""Every published format leads to the same model, as exactly as the format's numbers allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import pytest
import torch

from tests.infinitetalk import weight_files
from tests.infinitetalk.weight_files import SMALL, small_model, small_weights, velocity
from workers.infinitetalk.weights.formats import inspect
from workers.infinitetalk.weights.mapping import official_to_ours
from workers.infinitetalk.weights.scaled_fp8 import ScaledFp8Linear
from workers.infinitetalk.weights.stream import LoadPlan, LoadReport, load_transformer

Writer = Callable[[weight_files.State, Path], list[Path]]


@dataclass(frozen=True)
class Published:
    """A format; how far a weight w may be off (relative to w, and to its row's largest); the output too."""

    name: str
    write: Writer
    reports: tuple[str, str]
    relative: float
    of_largest: float
    output: float


# Half a unit in the last place: bf16 2^-8, fp16 2^-11 (and absolute steps below 2^-14), e4m3 2^-4 (steps of
# 2^-10 below 2^-6). Q8_0: the largest of 32 becomes 127, so half a step is its 254th.
FORMATS = [
    Published(
        "official shards",
        weight_files.official,
        ("official shards, f32", "InfiniteTalk adapter, f32"),
        0,
        0,
        0,
    ),
    Published(
        "diffusers directory", weight_files.diffusers, ("diffusers directory, f32", "adapter, f32"), 0, 0, 0
    ),
    Published(
        "ComfyUI bf16",
        weight_files.comfy(torch.bfloat16),
        ("single file, bf16", "adapter, f16"),
        2**-8,
        4e-6,
        0.01,
    ),
    Published(
        "ComfyUI fp16", weight_files.comfy(torch.float16), ("single file, f16", "f16"), 2**-11, 4e-6, 0.002
    ),
    Published(
        "ComfyUI fp8",
        weight_files.comfy(weight_files.FP8),
        ("single file, f8_e4m3", "f16"),
        2**-4,
        2**-6,
        0.1,
    ),
    Published(
        "ComfyUI and Kijai fp8_scaled",
        weight_files.comfy_scaled,
        ("single file, f8_e4m3 scaled", "InfiniteTalk adapter, f8_e4m3 scaled"),
        2**-4 + 2**-10,
        2**-10 / 448 + 1e-6,
        0.1,
    ),
    Published(
        "fp8_scaled, newer names",
        weight_files.comfy_scaled_new,
        ("single file, f8_e4m3 scaled", "InfiniteTalk adapter, f32"),
        2**-4 + 2**-10,
        2**-10 / 448 + 1e-6,
        0.1,
    ),
    # The block's scale is itself rounded to fp16.
    Published("GGUF Q8_0", weight_files.gguf_q8, ("GGUF, q8_0", "GGUF, "), 2**-11, 1 / 254, 0.03),
]


@pytest.fixture(scope="module")
def exact_velocity() -> torch.Tensor:
    return velocity(small_model())


def load(paths: list[Path], storage: str | None = None) -> tuple[torch.nn.Module, LoadReport]:
    reports: list[LoadReport] = []
    plan = LoadPlan(storage)  # type: ignore[arg-type]
    model = load_transformer(SMALL, paths, torch.float32, "cpu", plan, on_report=reports.append)
    return model, reports[0]


@pytest.mark.parametrize("published", FORMATS, ids=lambda each: each.name)
def test_a_format_is_recognised_and_gives_the_same_weights(published: Published, tmp_path: Path) -> None:
    paths = published.write(small_weights(), tmp_path)
    for report, words in zip(inspect(paths).reports, published.reports, strict=True):
        assert words in str(report)
    model, report = load(paths, "full")
    wanted = official_to_ours(small_weights())
    assert set(model.state_dict()) == set(wanted)
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        allowed = published.relative * wanted[name].abs() + published.of_largest * wanted[name].abs().max()
        assert bool(((value - wanted[name]).abs() <= allowed).all()), name
    assert report.peak_bytes <= report.budget_bytes


@pytest.mark.parametrize("published", FORMATS, ids=lambda each: each.name)
def test_a_format_gives_the_same_velocity_however_it_is_kept(
    published: Published, tmp_path: Path, exact_velocity: torch.Tensor
) -> None:
    model, report = load(published.write(small_weights(), tmp_path))
    error = (velocity(model) - exact_velocity).norm() / exact_velocity.norm()
    assert error <= published.output
    assert report.storage == (
        "gguf" if "GGUF" in published.name else "fp8" if "fp8" in published.name else "full"
    )
    assert report.peak_bytes <= report.budget_bytes
    assert report.files[0].startswith(published.reports[0])


def test_fp8_files_stay_fp8_and_mean_the_same_numbers(tmp_path: Path) -> None:
    paths = weight_files.comfy_scaled(small_weights(), tmp_path)
    kept, _ = load(paths)
    full, _ = load(paths, "full")
    linear = kept.get_submodule("blocks.0.attn1.to_q")
    assert isinstance(linear, ScaledFp8Linear)
    assert linear.weight.dtype == weight_files.FP8
    assert not isinstance(kept.get_submodule("condition_embedder.time_embedder.linear_1"), ScaledFp8Linear)
    assert torch.equal(velocity(kept), velocity(full))
    moved = kept.to(torch.bfloat16).get_submodule("blocks.0.attn1.to_q")
    assert (moved.weight.dtype, moved.weight_scale.dtype) == (weight_files.FP8, torch.float32)
    assert moved.bias.dtype == torch.bfloat16


@pytest.mark.parametrize(("storage", "error"), [("fp8", 0.06), ("int8", 0.02), ("layerwise_fp8", 0.06)])
def test_weights_are_quantised_while_they_are_loaded(
    storage: str, error: float, tmp_path: Path, exact_velocity: torch.Tensor
) -> None:
    model, report = load(weight_files.official(small_weights(), tmp_path), storage)
    off = (velocity(model) - exact_velocity).norm() / exact_velocity.norm()
    assert 0 < off <= error
    assert report.storage == storage
    assert report.resident_bytes < 0.8 * sum(4 * value.numel() for value in small_weights().values())


@pytest.mark.parametrize("kind", ["Q4_0", "Q5_1", "Q8_0", "BF16", "F16"])
def test_gguf_of_other_kinds_is_kept_as_it_is(
    kind: str, tmp_path: Path, exact_velocity: torch.Tensor
) -> None:
    base, audio = weight_files.halves(small_weights())
    quantisation = gguf.GGMLQuantizationType[kind]
    paths = [
        weight_files.write_gguf(base, tmp_path / "wan.gguf", quantisation),
        weight_files.save(audio, tmp_path / "audio.safetensors"),
    ]
    model, report = load(paths)
    off = (velocity(model) - exact_velocity).norm() / exact_velocity.norm()
    assert off <= {"Q4_0": 0.25, "Q5_1": 0.12, "Q8_0": 0.02, "BF16": 0.01, "F16": 0.002}[kind]
    assert report.storage == ("full" if kind == "F16" else "gguf")
    patch = model.get_parameter("patch_embedding.weight")
    assert torch.equal(patch, small_weights()["patch_embedding.weight"])


def test_the_order_of_the_paths_does_not_matter_and_a_merged_file_needs_no_adapter(tmp_path: Path) -> None:
    wanted = official_to_ours(small_weights())
    paths = weight_files.official(small_weights(), tmp_path)
    merged = weight_files.save(weight_files.prefixed(small_weights()), tmp_path / "merged.safetensors")
    for given in (paths[::-1], [merged]):
        model, _ = load(given)
        assert all(torch.equal(value, wanted[name]) for name, value in model.state_dict().items())


def test_of_several_whole_files_in_a_folder_the_most_exact_is_used(tmp_path: Path) -> None:
    weight_files.comfy_scaled(small_weights(), tmp_path / "model")
    base, audio = weight_files.halves(small_weights())
    exact = [
        weight_files.save(weight_files.cast(base, torch.bfloat16), tmp_path / "model" / "bf16.safetensors"),
        weight_files.save(audio, tmp_path / "model" / "audio.safetensors"),
    ]
    side_by_side, report = load([tmp_path / "model"])
    alone, _ = load(exact)
    assert report.storage == "full"
    for name, value in side_by_side.state_dict().items():
        assert torch.equal(value, alone.state_dict()[name])


def test_modules_that_need_fp32_keep_it_in_a_bf16_model(tmp_path: Path) -> None:
    paths = weight_files.official(small_weights(), tmp_path)
    model = load_transformer(SMALL, paths, torch.bfloat16, "cpu")
    kept = {name: value.dtype for name, value in model.state_dict().items()}
    assert kept["blocks.0.attn1.to_q.weight"] == torch.bfloat16
    for name in (
        "scale_shift_table",
        "blocks.0.norm2.weight",
        "condition_embedder.time_embedder.linear_1.weight",
    ):
        assert kept[name] == torch.float32
        assert torch.equal(model.state_dict()[name], official_to_ours(small_weights())[name])


def test_buffers_are_those_of_a_model_that_was_built_in_memory(tmp_path: Path) -> None:
    model, _ = load(weight_files.official(small_weights(), tmp_path))
    built = dict(small_model().named_buffers())
    assert built
    for name, value in model.named_buffers():
        assert torch.equal(value, built[name])


def test_progress_is_told_in_bytes_and_may_stop_the_load(tmp_path: Path) -> None:
    paths = weight_files.official(small_weights(), tmp_path)
    told: list[tuple[int, int]] = []
    load_transformer(SMALL, paths, torch.float32, "cpu", on_progress=lambda *now: told.append(now))
    total = sum(4 * value.numel() for value in small_weights().values())
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    class Stop(Exception): ...

    def stop(done: int, _: int) -> None:
        if done > total // 2:
            raise Stop

    with pytest.raises(Stop):
        load_transformer(SMALL, paths, torch.float32, "cpu", on_progress=stop)
