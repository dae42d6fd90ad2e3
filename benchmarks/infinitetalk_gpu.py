"""InfiniteTalk's network at full size with random weights: time, TFLOP/s, share of the matrix peak, memory.

    python -m benchmarks.infinitetalk_gpu [--tiny] [--only NAME,...] [--vram GIB] [--out FILE.json]

In the engine's environment (infinitetalk_core/python_env), from the repository. A full run needs a GPU
that holds 40 GiB and a host with 64; `--tiny` runs every case on a small model on a CPU in a minute and
proves the script, not the speed. `--only` takes names from the first column, to split a run in parts;
`--vram` allows this process only so much of the card, as a stand-in for a smaller one.

A pass: 3 warm runs, 5 timed by CUDA events; the median counts. "Peak" is this card's own bf16 matrix
product, measured first. A window: the second one of a film, with its pinned frames encoded and its
picture decoded; 72 new frames, 2.88 s. Weights come from a random generator, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import torch

from benchmarks.infinitetalk_flops import pass_flops
from benchmarks.infinitetalk_models import (
    FULL,
    TINY,
    Scale,
    pass_inputs,
    random_transformer,
    random_vae,
    to_scaled_fp8,
)
from workers.infinitetalk.config import CONDITION_CHANNELS, FPS, PRESETS
from workers.infinitetalk.guidance import Guidance
from workers.infinitetalk.machine import place
from workers.infinitetalk.sampler import Models, Request, generate

WARM, TIMED = 3, 5
GIB = 1 << 30
# What one H200 is to reach.
LEAST_SHARE = 0.45
MOST_GIB = {"480p": 42.0, "720p": 48.0}
MOST_STREAMED_GIB, MOST_STREAMED_RATIO = 10.0, 1.15
MOST_TURBO_S = 25.0

# What a missing kernel, a full card or an unsupported combination raises. It becomes the row's remark.
REFUSALS = (RuntimeError, ImportError, ValueError, NotImplementedError, TypeError, AssertionError)

Model = Any
Change = Callable[[Model, torch.device], None]


@dataclass
class Row:
    """One measured line."""

    name: str
    size: str
    speakers: int = 1
    seconds: float | None = None
    spread: tuple[float, float] | None = None  # fastest and slowest
    tflops: float | None = None
    share: float | None = None
    allocated_gib: float | None = None
    reserved_gib: float | None = None
    remark: str = ""
    extra: dict[str, float] = field(default_factory=dict)


def stream(model: Model, device: torch.device) -> None:
    """Blocks come from the host's memory while the one before computes, by the engine's own code."""
    model.to("cpu")
    release(device)
    place(model, "streamed", device)


def layerwise_fp8(model: Model, device: torch.device) -> None:
    model.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=model.patch_embedding.weight.dtype
    )


def int8_weights(model: Model, device: torch.device) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model.blocks, Int8WeightOnlyConfig())


def fp8_matrices(model: Model, device: torch.device) -> None:
    """Products in fp8, with a scale for each row of the weights and of what comes in."""
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow, quantize_

    quantize_(model.blocks, Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()))


def backend(name: str) -> Change:
    return lambda model, device: model.set_attention_backend(name)


def also(*changes: Change) -> Change:
    def change(model: Model, device: torch.device) -> None:
        for one in changes:
            one(model, device)

    return change


def compiled(model: Model, device: torch.device) -> None:
    model.compile_repeated_blocks()


# Name, what is done to a fresh model, sizes, speakers.
CASES: tuple[tuple[str, Change | None, tuple[str, ...], tuple[int, ...]], ...] = (
    ("resident", None, ("480p", "720p"), (1, 2)),
    ("flash", backend("_native_flash"), ("480p",), (1,)),
    ("cudnn", backend("_native_cudnn"), ("480p", "720p"), (1,)),
    ("efficient", backend("_native_efficient"), ("480p",), (1,)),
    ("compile", compiled, ("480p",), (1, 2)),
    ("compile+cudnn", also(backend("_native_cudnn"), compiled), ("480p", "720p"), (1,)),
    ("fp8 stored", lambda model, device: to_scaled_fp8(model), ("480p",), (1,)),
    ("fp8 layerwise", layerwise_fp8, ("480p",), (1,)),
    ("fp8 matrices", fp8_matrices, ("480p",), (1,)),
    ("fp8 matrices+compile", also(fp8_matrices, compiled), ("480p",), (1,)),
    ("int8 stored", int8_weights, ("480p",), (1,)),
    ("streamed", stream, ("480p", "720p"), (1,)),
)
WINDOWS = (("turbo", "480p"), ("fast", "480p"))


class Clock:
    """Times work on the device: CUDA events there, the wall clock on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    def __call__(self, work: Callable[[], Any]) -> float:
        if not self.cuda:
            started = time.perf_counter()
            work()
            return time.perf_counter() - started
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000


def release(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peaks(device: torch.device) -> tuple[float | None, float | None]:
    """GiB of live tensors and of what the allocator took, at their highest."""
    if device.type != "cuda":
        return None, None
    return torch.cuda.max_memory_allocated() / GIB, torch.cuda.max_memory_reserved() / GIB


def matrix_peak(scale: Scale, device: torch.device) -> float:
    """TFLOP/s of the fastest large matrix product of this card, on random numbers."""
    clock, best = Clock(device), 0.0
    for rows, inner, columns in scale.matrix:
        left = torch.randn(rows, inner, device=device, dtype=scale.dtype)
        right = torch.randn(inner, columns, device=device, dtype=scale.dtype)
        times = [clock(lambda: left @ right) for _ in range(WARM + 10)][WARM:]  # noqa: B023 - runs at once
        best = max(best, 2 * rows * inner * columns / min(times) / 1e12)
    return best


def measure_pass(row: Row, model: Model, scale: Scale, device: torch.device, peak: float) -> None:
    """Time and memory of one pass, into the row."""
    height, width = scale.sizes[row.size]
    inputs, clock = pass_inputs(scale, height, width, row.speakers, device), Clock(device)
    release(device)
    with torch.no_grad():
        times = [clock(lambda: model(**inputs)) for _ in range(WARM + TIMED)][WARM:]
    row.seconds, row.spread = statistics.median(times), (min(times), max(times))
    flops = pass_flops(scale.model, height, width, scale.window, row.speakers)
    row.tflops = flops / row.seconds / 1e12
    row.share = row.tflops / peak
    row.allocated_gib, row.reserved_gib = peaks(device)


def measure_window(row: Row, scale: Scale, device: torch.device) -> None:
    """The second window of a film by a preset, VAE included, into the row."""
    preset = PRESETS[row.name.split()[-1]]
    height, width = scale.sizes[row.size]
    model, vae = random_transformer(scale, device), random_vae(scale, device)
    model.set_attention_backend("native")
    inputs = pass_inputs(scale, height, width, 1, device)
    clock, stages = Clock(device), {"encode_s": 0.0, "decode_s": 0.0}

    def timed(
        stage: str, work: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        def run(value: torch.Tensor) -> torch.Tensor:
            kept: list[torch.Tensor] = []
            stages[stage] = clock(lambda: kept.append(work(value)))
            return kept[0]

        return run

    request = Request(
        speech=lambda first, frames: inputs["audio"],
        condition=lambda frame: SimpleNamespace(
            y=inputs["hidden_states"][:, -CONDITION_CHANNELS:], clip=inputs["encoder_hidden_states_image"]
        ),
        reference=lambda: torch.rand(3, height, width) * 2 - 1,
        text=inputs["encoder_hidden_states"],
        null_text=inputs["encoder_hidden_states"],
        frames=2 * scale.window - scale.motion,
        seed=0,
        steps=preset.steps,
        shift=preset.shift(480),
        guidance=Guidance(preset.text_scale, preset.audio_scale),
        skip_last_step=preset.skip_last_step,
        window=scale.window,
        motion=scale.motion,
    )
    models = Models(model, timed("encode_s", vae.encode), timed("decode_s", vae.decode), device, scale.dtype)
    film = generate(models, request, on_step=lambda progress: None, cancelled=lambda: False)
    next(film)
    release(device)
    started = time.perf_counter()
    window = next(film)  # its pixels are on the host: nothing is left to wait for
    row.seconds = time.perf_counter() - started
    row.allocated_gib, row.reserved_gib = peaks(device)
    seconds = window.pixels.shape[1] / FPS
    passes = (preset.steps - preset.skip_last_step) * preset.passes
    row.extra = {**stages, "video_s": seconds, "passes": float(passes)}
    row.remark = (
        f"{seconds:.2f} s of video, {passes} passes, encode {stages['encode_s']:.2f} s, "
        f"decode {stages['decode_s']:.2f} s"
    )


def run(scale: Scale, device: torch.device, only: set[str], peak: float) -> list[Row]:
    """Every case and window that is asked for. One that cannot run says why in its row."""
    rows = []
    for name, change, sizes, speakers in CASES:
        if only and name not in only:
            continue
        model, failed = None, ""
        try:
            model = random_transformer(scale, device)
            # diffusers remembers the last model's choice for all that come.
            model.set_attention_backend("native")
            if change is not None:
                change(model, device)
        except REFUSALS as error:
            failed = refusal(error)
        for size in sizes:
            for count in speakers:
                row = Row(name, size, count, remark=failed)
                if model is not None and not failed:
                    try:
                        measure_pass(row, model, scale, device, peak)
                    except REFUSALS as error:
                        row.remark = refusal(error)
                rows.append(row)
                print(line(row), flush=True)
        del model
        torch._dynamo.reset()
        release(device)
    for preset, size in WINDOWS:
        row = Row(f"window {preset}", size)
        if only and row.name not in only:
            continue
        try:
            measure_window(row, scale, device)
        except REFUSALS as error:
            row.remark = refusal(error)
        rows.append(row)
        print(line(row), flush=True)
        release(device)
    return rows


def refusal(error: BaseException) -> str:
    words = str(error).strip().splitlines() or [""]
    return f"not run: {type(error).__name__}: {words[0][:160]}"


def targets(rows: list[Row]) -> list[dict[str, Any]]:
    """The figures to reach, what was measured, and whether it is enough. What was not run is left out."""
    done = [row for row in rows if row.seconds is not None]
    at = {(row.name, row.size, row.speakers): row for row in done}
    found: list[tuple[str, float, float, bool]] = []
    shares = [row.share for row in done if row.size == "480p" and row.share is not None]
    if shares:
        found.append(("share of the matrix peak at 480p, best", max(shares), LEAST_SHARE, True))
    for size, limit in MOST_GIB.items():
        row = at.get(("resident", size, 1))
        if row is not None and row.allocated_gib is not None:
            found.append((f"resident bf16 at {size}, GiB", row.allocated_gib, limit, False))
    streamed, resident = at.get(("streamed", "480p", 1)), at.get(("resident", "480p", 1))
    if streamed is not None and streamed.allocated_gib is not None:
        found.append(("streamed at 480p, GiB", streamed.allocated_gib, MOST_STREAMED_GIB, False))
    if streamed is not None and resident is not None and streamed.seconds and resident.seconds:
        ratio = streamed.seconds / resident.seconds
        found.append(("streamed at 480p, times resident", ratio, MOST_STREAMED_RATIO, False))
    turbo = at.get(("window turbo", "480p", 1))
    if turbo is not None and turbo.seconds is not None:
        found.append(("turbo window at 480p, s", turbo.seconds, MOST_TURBO_S, False))
    return [
        {
            "figure": name,
            "measured": value,
            "limit": limit,
            "met": value >= limit if least else value <= limit,
        }
        for name, value, limit, least in found
    ]


COLUMNS = "| case | size | speakers | s | TFLOP/s | of peak | live GiB | taken GiB | remark |"


def line(row: Row) -> str:
    def number(value: float | None, pattern: str) -> str:
        return "" if value is None else format(value, pattern)

    cells = (
        row.name,
        row.size,
        str(row.speakers),
        number(row.seconds, ".3f"),
        number(row.tflops, ".1f"),
        number(row.share, ".1%"),
        number(row.allocated_gib, ".1f"),
        number(row.reserved_gib, ".1f"),
        row.remark,
    )
    return "| " + " | ".join(cells) + " |"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="a small model on the CPU: proves the script")
    parser.add_argument("--only", default="", help="cases by name, with commas between")
    parser.add_argument("--vram", type=float, help="GiB of the card this process may take")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    known = {name for name, *_ in CASES} | {f"window {preset}" for preset, _ in WINDOWS}
    only = {name.strip() for name in asked.only.split(",") if name.strip()}
    if only - known:
        parser.error(f"unknown: {', '.join(sorted(only - known))}; there are: {', '.join(sorted(known))}")
    if not asked.tiny and not torch.cuda.is_available():
        parser.error("no CUDA device; --tiny runs on a CPU")
    scale, device = (TINY, torch.device("cpu")) if asked.tiny else (FULL, torch.device("cuda"))
    machine = "CPU, tiny model"
    if device.type == "cuda":
        machine = torch.cuda.get_device_name()
        if asked.vram:
            whole = torch.cuda.get_device_properties(device).total_memory / GIB
            torch.cuda.set_per_process_memory_fraction(min(1.0, asked.vram / whole))
    peak = matrix_peak(scale, device)
    release(device)
    print(f"{machine}; torch {torch.__version__}, diffusers {diffusers.__version__}; {peak:.1f} TFLOP/s")
    print(COLUMNS)
    print("|" + "---|" * (COLUMNS.count("|") - 1))
    rows = run(scale, device, only, peak)
    result = {
        "machine": machine,
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "vram_limit_gib": asked.vram,
        "matrix_peak_tflops": peak,
        "rows": [asdict(row) for row in rows],
        # The limits are those of the full model on one H200.
        "targets": [] if asked.tiny else targets(rows),
    }
    for target in result["targets"]:
        verdict = "met" if target["met"] else "MISSED"
        print(f"{verdict}: {target['figure']}: {target['measured']:.3g} (limit {target['limit']:g})")
    if asked.out is not None:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


if __name__ == "__main__":
    main()
