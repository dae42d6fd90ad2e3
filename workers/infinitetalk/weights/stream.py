"""Weights from the disk into a model, one parameter at a time. Runs in the InfiniteTalk worker.

The model is built without memory (`meta`), then each parameter is read, cast or quantised, and put in its
place, in the model's own order. The host never holds more than what stays there and one parameter on its
way: 38 GB for the whole model in bf16, 20 GB in fp8; with a GPU as the device next to nothing. What is
needed is known before (`host_budget`) and counted while it happens (`LoadReport`).

Storage of the blocks' 2-D weights; everything else is kept in `dtype`, or in fp32 where the model says so:

| storage | is |
|---|---|
| `full` | `dtype` |
| `fp8` | e4m3 with a scale per tensor or row (`scaled_fp8.py`); fp8 files as they are |
| `int8` | torchao, int8 weight only, a scale per row |
| `layerwise_fp8` | diffusers' layerwise casting: e4m3 without a scale, worse than `fp8` |
| `gguf` | the blocks of a GGUF file as they are; other files in `dtype` |
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.weights import problems
from workers.infinitetalk.weights.budget import Ledger, Step, simulate
from workers.infinitetalk.weights.formats import Checkpoint, inspect
from workers.infinitetalk.weights.mapping import is_audio_key
from workers.infinitetalk.weights.placing import (
    Change,
    Keeping,
    Storage,
    expected,
    finish,
    is_block_weight,
    parent,
    place,
)

# Bytes done, bytes in all; called after every parameter. May raise, e.g. because the task was cancelled.
OnProgress = Callable[[int, int], None]
# The largest type in which weights are published.
_FP32 = 4


@dataclass(frozen=True)
class LoadPlan:
    """How to keep the weights. `storage` None: as the files have them (`Checkpoint.precision`)."""

    storage: Storage | None = None


@dataclass(frozen=True)
class LoadReport:
    """What was loaded, and the host memory it took, in bytes."""

    files: tuple[str, ...]
    storage: Storage
    parameters: int
    resident_bytes: int
    peak_bytes: int
    budget_bytes: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e9:.2f} billion parameters as {self.storage} in {self.seconds:.0f} s; host "
            f"memory: {self.resident_bytes / 1e9:.2f} GB stay, {self.peak_bytes / 1e9:.2f} GB at most "
            f"(planned {self.budget_bytes / 1e9:.2f} GB); from {'; '.join(self.files)}"
        )


def load_transformer(
    config: ModelConfig,
    paths: Sequence[Path],
    dtype: Any,
    device: Any,
    plan: LoadPlan | None = None,
    *,
    change: Change | None = None,
    on_progress: OnProgress | None = None,
    on_report: Callable[[LoadReport], None] | None = None,
) -> Any:
    """The InfiniteTalk transformer with the weights of `paths` (base and adapter, in any order).

    Raises `TaskError(model_missing)` when they are not all there, damaged or another model's.
    """
    from workers.infinitetalk.transformer import InfiniteTalkTransformer

    checkpoint = inspect(paths)
    model = empty(lambda: InfiniteTalkTransformer(**config.transformer_kwargs()))
    report = materialise(
        model, checkpoint, dtype=dtype, device=device, plan=plan, change=change, on_progress=on_progress
    )
    if on_report is not None:
        on_report(report)
    return model


def empty(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` makes, with parameters that have a shape and no memory; buffers are real."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return build().eval().requires_grad_(False)


def materialise(
    model: nn.Module,
    checkpoint: Checkpoint,
    *,
    dtype: Any,
    device: Any,
    plan: LoadPlan | None = None,
    change: Change | None = None,
    exact: Sequence[str] | None = None,
    tied: Mapping[str, str] | None = None,
    unused: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> LoadReport:
    """Fill a model made by `empty`.

    `exact`: modules kept in fp32, by default those that the model's class names (diffusers). `tied`:
    parameters that are another one, by name. `unused`: parameters that may be missing and become zeros.
    """
    started = time.monotonic()
    tied = tied or {}
    absent = [name for name in unused if name not in checkpoint.entries]
    names = [name for name in model.state_dict() if name not in tied and name not in absent]
    _check(model, names, checkpoint)
    keeping = Keeping(
        dtype,
        torch.device(device),
        _storage(plan, checkpoint),
        change,
        _exact(model) if exact is None else tuple(exact),
    )
    budget, _ = simulate(list(_planned(model, names, checkpoint, keeping)))
    sizes = {name: _file_bytes(checkpoint, name) for name in names}
    total, done, count, ledger = sum(sizes.values()), 0, 0, Ledger()
    for group in _groups(names):
        for name in group:
            count += _count(checkpoint.entries[name].shape)
            ledger.take(place(model, name, *checkpoint.entries[name].read(), keeping))
            done += sizes[name]
            if on_progress is not None:
                on_progress(done, total)
        ledger.live -= finish(model, group, keeping)
    for name in absent:
        module, leaf = parent(model, name)
        zeros = torch.zeros(getattr(module, leaf).shape, dtype=dtype, device=keeping.device)
        module._parameters[leaf] = nn.Parameter(zeros, requires_grad=False)
    for name, other in tied.items():
        module, leaf = parent(model, name)
        owner, key = parent(model, other)
        module._parameters[leaf] = owner._parameters[key]
    for module in model.modules():
        for leaf, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[leaf] = buffer.to(keeping.device)
    return LoadReport(
        files=tuple(str(report) for report in checkpoint.reports),
        storage=keeping.storage,
        parameters=count,
        resident_bytes=ledger.live,
        peak_bytes=ledger.peak,
        budget_bytes=budget,
        seconds=time.monotonic() - started,
    )


def host_budget(model: nn.Module, storage: Storage, dtype: Any, device: Any = "cpu") -> tuple[int, int]:
    """(peak, resident) bytes of host memory that loading takes at most, from shapes alone.

    `model` as made by `empty`. Files with 2-D weights in fp32, the largest that are published.
    """
    keeping = Keeping(dtype, torch.device(device), storage, exact=_exact(model))
    return simulate(_planned(model, list(model.state_dict()), None, keeping))


def _exact(model: nn.Module) -> tuple[str, ...]:
    return tuple(getattr(model, "_keep_in_fp32_modules", None) or ())


def _planned(
    model: nn.Module, names: Sequence[str], checkpoint: Checkpoint | None, keeping: Keeping
) -> Iterator[Step]:
    for group in _groups(names):
        for name in group:
            if checkpoint is None:
                module, leaf = parent(model, name)
                raw, scaled, blocks = _FP32 * getattr(module, leaf).numel(), False, False
            else:
                entry = checkpoint.entries[name]
                raw, scaled, blocks = _file_bytes(checkpoint, name), entry.scale is not None, entry.quantised
            yield expected(model, name, raw, keeping, scaled=scaled, blocks=blocks)
        if keeping.storage == "layerwise_fp8" and group[0].startswith("blocks."):
            yield Step(0, 0, 0, -_layerwise_saving(model, group, keeping))


def _layerwise_saving(model: nn.Module, group: Sequence[str], keeping: Keeping) -> int:
    """Bytes that a block gives back when its 2-D weights become fp8; its biases are not counted."""
    if keeping.device.type != "cpu":
        return 0
    weights = (parent(model, name) for name in group if is_block_weight(model, name))
    return int(sum(module.weight.numel() for module, _ in weights) * (keeping.dtype.itemsize - 1))


def _file_bytes(checkpoint: Checkpoint, name: str) -> int:
    """What is read for one parameter: its numbers and their scale."""
    entry = checkpoint.entries[name]
    keys = (entry.key,) if entry.scale is None else (entry.key, entry.scale)
    return sum(entry.source.entries[key].nbytes for key in keys)


def _storage(plan: LoadPlan | None, checkpoint: Checkpoint) -> Storage:
    if plan is not None and plan.storage is not None:
        return plan.storage
    precision = checkpoint.precision
    return "gguf" if precision == "gguf" else "fp8" if precision == "fp8" else "full"


def _check(model: nn.Module, names: Sequence[str], checkpoint: Checkpoint) -> None:
    missing = [name for name in names if name not in checkpoint.entries]
    if missing:
        raise problems.incomplete(missing, audio=all(is_audio_key(name) for name in missing))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in names:
        entry = checkpoint.entries[name]
        fits = entry.shape == wanted[name] or (
            # GGUF knows four dimensions only; a flattened patch embedding gets its fifth back.
            entry.source.path.suffix.lower() == ".gguf" and _count(entry.shape) == _count(wanted[name])
        )
        if not fits:
            raise problems.misfit(entry.source.path, name, entry.shape, wanted[name])


def _count(shape: Iterable[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _groups(names: Sequence[str]) -> Iterator[list[str]]:
    """The parameters of one block after the other; what lies between blocks is a group too."""
    group: list[str] = []
    last: tuple[str, ...] | None = None
    for name in names:
        parts = name.split(".")
        own = tuple(parts[:2]) if parts[0] == "blocks" else ("",)
        if group and own != last:
            yield group
            group = []
        last = own
        group.append(name)
    if group:
        yield group
