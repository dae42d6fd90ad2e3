"""Eight-bit weights with a scale: weight ≈ fp8 · scale. Runs in the InfiniteTalk worker.

diffusers has fp8 only without a scale (layerwise casting), which costs small weights most of their
digits: e4m3 has 3 bits of mantissa and nothing below 2^-9. ComfyUI and Kijai publish `fp8_scaled` files:
the weight divided by its scale in `float8_e4m3fn` and beside it one fp32 number a tensor. Their names
are not verified against the published files; three spellings seen in public converters are read:
`X.scale_weight` (with a tensor `scaled_fp8` as a mark), `X.weight_scale`, and a scale per row.

Scale shapes: () or (1,) a tensor, (out, 1) or (out,) a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from workers.infinitetalk.weights.budget import CHUNK

FP8 = torch.float8_e4m3fn
FP8_TYPES = (torch.float8_e4m3fn, torch.float8_e5m2)
# Largest finite number of e4m3fn (Micikevicius et al., "FP8 formats for deep learning", 2022).
FP8_MAX = 448.0
# A row of zeros has no scale; this keeps the division finite and the row zero.
TINY = 1e-12

SCALE_SUFFIXES = (".scale_weight", ".weight_scale")
# Written for kernels that also quantise activations; ours do not.
UNUSED_SUFFIXES = (".scale_input", ".input_scale", ".comfy_quant")
MARKS = ("scaled_fp8",)


def column(scale: Any) -> Any:
    """A scale that multiplies a (out, in) weight: () or (out, 1), fp32."""
    scale = scale.to(torch.float32)
    return scale.reshape(()) if scale.numel() == 1 else scale.reshape(-1, 1)


def dequantise(weight: Any, scale: Any, dtype: Any) -> Any:
    """(out, in) fp8 -> `dtype`, rounded once: the product is formed in fp32."""
    return (weight.to(torch.float32) * column(scale).to(weight.device)).to(dtype)


def quantise(weight: Any) -> tuple[Any, Any]:
    """(out, in) of any float type -> e4m3 and the scale of each row (out, 1), fp32.

    The largest number of a row becomes 448, so nothing saturates and each row uses the whole range.
    """
    rows, columns = weight.shape
    quantised = torch.empty(rows, columns, dtype=FP8, device=weight.device)
    scale = torch.empty(rows, 1, dtype=torch.float32, device=weight.device)
    step = max(1, CHUNK // max(1, columns))
    for start in range(0, rows, step):
        exact = weight[start : start + step].to(torch.float32, copy=True)
        part = exact.abs().amax(dim=1, keepdim=True).clamp_(min=TINY) / FP8_MAX
        quantised[start : start + step] = exact.div_(part).clamp_(-FP8_MAX, FP8_MAX).to(FP8)
        scale[start : start + step] = part
    return quantised, scale


def dequantise_rows(weight: Any, scale: Any, dtype: Any) -> Any:
    """`dequantise` for the host: the same numbers, with the fp32 product of a few rows at a time.

    Any number of dimensions; a scale per row belongs to the first one.
    """
    rows = weight.reshape(weight.shape[0], -1)
    factor = column(scale)
    numbers = torch.empty(rows.shape, dtype=dtype)
    step = max(1, CHUNK // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], step):
        own = factor if factor.ndim == 0 else factor[start : start + step]
        numbers[start : start + step] = dequantise(rows[start : start + step], own, dtype)
    return numbers.reshape(weight.shape)


class ScaledFp8Linear(nn.Linear):
    """A linear layer that keeps its weight in fp8 with a scale and multiplies in the input's type.

    x (..., in) -> (..., out). Being an `nn.Linear`, it can carry PEFT's LoRA layers. The weight and its
    scale keep their types through `.to(dtype)`; only a move to another device reaches them.
    """

    weight_scale: Any

    def __init__(self, like: nn.Linear, weight: Any, scale: Any) -> None:
        super().__init__(
            like.in_features,
            like.out_features,
            bias=like.bias is not None,
            device="meta",
            dtype=torch.bfloat16,
        )
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("weight_scale", column(scale))
        if like.bias is not None:
            self.bias = like.bias

    def forward(self, input: Any) -> Any:
        weight = dequantise(self.weight, self.weight_scale, input.dtype)
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, weight, bias)

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Any:
        weight, scale = self.weight.data, self.weight_scale
        super()._apply(fn, recurse)
        if self.weight.dtype != weight.dtype:
            self.weight = nn.Parameter(weight.to(self.weight.device), requires_grad=False)
        if self.weight_scale.dtype != scale.dtype:
            self.weight_scale = scale.to(self.weight_scale.device)
        return self
