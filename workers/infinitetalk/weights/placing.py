"""How one parameter is kept: cast, quantised, or as it is in the file. Runs in the InfiniteTalk worker.

A parameter comes as it was read (any float type, fp8 with a scale, GGUF blocks) with the shape that the
model wants; it goes into its module on the device, and the host memory this took is returned as a `Step`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from workers.infinitetalk.weights.budget import (
    CHANGE_SCRATCH,
    GGUF_SCRATCH,
    Step,
    chunk_scratch,
    host_bytes,
)
from workers.infinitetalk.weights.gguf_file import dequantised, is_quantised
from workers.infinitetalk.weights.scaled_fp8 import FP8_TYPES, ScaledFp8Linear, dequantise_rows, quantise

Storage = Literal["full", "fp8", "int8", "layerwise_fp8", "gguf"]
# A parameter's name and its fp32 numbers -> the changed numbers, or None when nothing changes. This is
# how a LoRA is merged while loading; the numbers may be changed in place.
Change = Callable[[str, Any], Any]

# Modules inside a block that diffusers' layerwise casting must leave alone: norms, tables and biases are
# small, and 3 bits of mantissa are not enough for them.
_LAYERWISE_SKIP = ("norm", "scale_shift_table")


@dataclass(frozen=True)
class Keeping:
    """What the caller wants: type of the numbers, device, storage of the blocks' weights, a LoRA."""

    dtype: Any
    device: Any
    storage: Storage
    change: Change | None = None
    exact: tuple[str, ...] = ()  # modules that are kept in fp32, by a part of their name


def parent(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that owns a parameter, and its name there."""
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path), leaf


def is_block_weight(model: nn.Module, name: str) -> bool:
    """Whether this weight is one of those that may be kept in few bits: linear layers in the blocks.

    Not the embedders: diffusers casts the timestep to the type of the time embedder's weight, and the
    audio projection's small weights lose most of their digits. Together they are 2 % of the model. Not
    umT5's `wo`: transformers casts that layer's input to the type of its weight.
    """
    module, leaf = parent(model, name)
    inside = name.startswith(("blocks.", "encoder.block.")) and not name.endswith(".wo.weight")
    return inside and leaf == "weight" and isinstance(module, nn.Linear)


def kept_dtype(name: str, keeping: Keeping) -> Any:
    """The wanted type, or fp32 for modules that the model's class wants in fp32."""
    return torch.float32 if any(part in keeping.exact for part in name.split(".")) else keeping.dtype


def place(model: nn.Module, name: str, raw: Any, scale: Any, keeping: Keeping) -> Step:
    """Put one parameter into the model. Returns what it took on the host."""
    change = None if keeping.change is None else _changed(name, raw, scale, keeping.change)
    if is_block_weight(model, name) and change is None and is_quantised(raw) and keeping.storage == "gguf":
        return _place_gguf(model, name, raw, keeping)
    if is_block_weight(model, name) and keeping.storage == "fp8":
        return _place_fp8(model, name, raw, scale, change, keeping)
    module, leaf = parent(model, name)
    old = getattr(module, leaf)
    dtype = kept_dtype(name, keeping)
    made = (plain(raw, scale, dtype) if change is None else change.to(dtype)).reshape(old.shape)
    kept = made.to(keeping.device)
    if leaf in module._parameters:
        module._parameters[leaf] = nn.Parameter(kept, requires_grad=False)
    else:
        module._buffers[leaf] = kept
    scratch = _scratch(raw, scale, change)
    if is_block_weight(model, name) and keeping.storage == "int8":
        _to_int8(module)
        # torchao forms the fp32 quotient and its rounding beside the weight.
        scratch += host_bytes(kept) * 4
        return Step(host_bytes(raw, scale), host_bytes(made), scratch, int8_bytes(module.weight))
    same = made.data_ptr() == raw.data_ptr()
    return Step(host_bytes(raw, scale), 0 if same else host_bytes(made), scratch, host_bytes(kept))


def expected(model: nn.Module, name: str, raw: int, keeping: Keeping, *, scaled: bool, blocks: bool) -> Step:
    """The `Step` that `place` would return, at most, from sizes: `raw` bytes are read for it.

    `scaled`: it is fp8 with a scale; `blocks`: it is GGUF blocks.
    """
    module, leaf = parent(model, name)
    numel = getattr(module, leaf).numel()
    made = numel * kept_dtype(name, keeping).itemsize
    scratch = chunk_scratch(numel) if scaled else GGUF_SCRATCH * numel if blocks else 0
    scratch += CHANGE_SCRATCH * numel if keeping.change is not None else 0
    if is_block_weight(model, name):
        if keeping.storage == "gguf" and blocks:
            made = raw
        if keeping.storage == "fp8":
            made = numel + 4 * module.out_features
            scratch += chunk_scratch(numel)
        if keeping.storage == "int8":
            kept = numel + 12 * module.out_features  # scale and zero point of each row
            return Step(raw, made, scratch + made * 4, _on(keeping, kept))
    return Step(raw, made, scratch, _on(keeping, made))


def finish(model: nn.Module, names: Sequence[str], keeping: Keeping) -> int:
    """After the last parameter of a block: what works on whole layers only. Returns host bytes saved."""
    if keeping.storage != "layerwise_fp8" or not names[0].startswith("blocks."):
        return 0
    from diffusers.hooks.layerwise_casting import apply_layerwise_casting

    block = model.get_submodule(".".join(names[0].split(".")[:2]))
    before = host_bytes(*block.parameters())
    apply_layerwise_casting(block, torch.float8_e4m3fn, keeping.dtype, _LAYERWISE_SKIP)
    return before - host_bytes(*block.parameters())


def plain(raw: Any, scale: Any, dtype: Any) -> Any:
    """The numbers of what was read, in `dtype`, on the host; the same memory when nothing changes."""
    if is_quantised(raw):
        return dequantised(raw).to(dtype)
    if scale is not None:
        return dequantise_rows(raw, scale, dtype)
    return raw.to(dtype)


def int8_bytes(weight: Any) -> int:
    """Host bytes of a weight that torchao quantised: the numbers and the scales."""
    inner, _ = weight.__tensor_flatten__()
    return sum(
        host_bytes(part) for part in (getattr(weight, name) for name in inner) if hasattr(part, "numel")
    )


def _on(keeping: Keeping, nbytes: int) -> int:
    return nbytes if keeping.device.type == "cpu" else 0


def _changed(name: str, raw: Any, scale: Any, change: Change) -> Any:
    return change(name, plain(raw, scale, torch.float32))


def _scratch(raw: Any, scale: Any, change: Any) -> int:
    scratch = CHANGE_SCRATCH * change.numel() if change is not None else 0
    if is_quantised(raw):
        return int(scratch + GGUF_SCRATCH * dequantised_count(raw))
    return scratch + (chunk_scratch(raw.numel()) if scale is not None else 0)


def dequantised_count(raw: Any) -> int:
    count = 1
    for size in raw.quant_shape:
        count *= int(size)
    return count


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    owner, leaf = parent(model, path)
    setattr(owner, leaf, module)


def _place_gguf(model: nn.Module, name: str, raw: Any, keeping: Keeping) -> Step:
    from diffusers.quantizers.gguf.utils import GGUFLinear

    path = name.rpartition(".")[0]
    old: Any = model.get_submodule(path)
    if not isinstance(old, GGUFLinear):
        with torch.device("meta"):
            new = GGUFLinear(old.in_features, old.out_features, old.bias is not None, keeping.dtype)
        new.bias = old.bias
        _replace(model, path, new)
        old = new
    kept = raw.to(keeping.device)
    old.weight = kept
    return Step(host_bytes(raw), 0, 0, host_bytes(kept))


def _place_fp8(model: nn.Module, name: str, raw: Any, scale: Any, change: Any, keeping: Keeping) -> Step:
    path = name.rpartition(".")[0]
    old: Any = model.get_submodule(path)
    scratch = chunk_scratch(old.in_features * old.out_features) + _scratch(raw, scale, change)
    if change is None and raw.dtype in FP8_TYPES:
        weight = raw
        scale = torch.ones((), dtype=torch.float32) if scale is None else scale
        made = 0
    else:
        exact = (
            change if change is not None else plain(raw, scale, torch.float32) if is_quantised(raw) else raw
        )
        weight, scale = quantise(exact)
        made = host_bytes(weight, scale)
    new = ScaledFp8Linear(old, weight.to(keeping.device), scale.to(keeping.device))
    _replace(model, path, new)
    return Step(host_bytes(raw), made, scratch, host_bytes(new.weight, new.weight_scale))


def _to_int8(module: nn.Module) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(module, Int8WeightOnlyConfig())
