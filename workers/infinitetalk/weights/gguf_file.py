"""GGUF files (llama.cpp's container) of Wan and InfiniteTalk. Runs in the InfiniteTalk worker.

The header is read by the `gguf` package, the tensors by us, one at a time. Blocks of 32 or 256 weights
share scales; a quantised tensor stays a diffusers `GGUFParameter` of bytes, shape (rows, bytes a row),
until it is dequantised by diffusers, in the forward pass or when it is loaded.

GGUF knows four dimensions at most, so programs flatten `patch_embedding.weight` (5 dimensions); the
loader gives a tensor of equal size the model's shape again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from workers.infinitetalk.weights import problems
from workers.infinitetalk.weights.tensor_file import TensorInfo, read_bytes

# Types that torch has itself; everything else is blocks.
PLAIN = {"F32": torch.float32, "F16": torch.float16, "F64": torch.float64}


class GgufFile:
    """A `.gguf` file. `entries[...].dtype` is the quantisation's name, e.g. `Q8_0`."""

    def __init__(self, path: Path) -> None:
        import gguf

        self.path = path
        self.metadata: Mapping[str, str] = {}
        if not path.is_file():
            raise problems.missing_file(path)
        try:
            reader = gguf.GGUFReader(path)
            entries, types, stored = {}, {}, {}
            for tensor in reader.tensors:
                shape = tuple(int(size) for size in reversed(tensor.shape))
                entries[tensor.name] = TensorInfo(
                    tensor.tensor_type.name, shape, int(tensor.data_offset), int(tensor.n_bytes)
                )
                types[tensor.name] = tensor.tensor_type
                # Rows are kept, a row becomes bytes.
                stored[tensor.name] = tuple(int(size) for size in tensor.data.shape)
        except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
            raise problems.damaged(path, f"no GGUF file: {error}") from error
        self.entries: Mapping[str, TensorInfo] = entries
        self._types = types
        self._stored = stored

    def read(self, name: str) -> Any:
        """A plain tensor, or a `GGUFParameter` of bytes."""
        from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES, GGUFParameter

        info = self.entries[name]
        data = read_bytes(self.path, info.offset, info.nbytes)
        if info.dtype in PLAIN:
            return data.view(PLAIN[info.dtype]).reshape(info.shape)
        if self._types[name] not in SUPPORTED_GGUF_QUANT_TYPES:
            raise problems.unsupported(self.path, f"GGUF quantisation {info.dtype}")
        return GGUFParameter(data.reshape(self._stored[name]), quant_type=self._types[name])


def is_quantised(tensor: Any) -> bool:
    """Whether `tensor` is bytes of a GGUF file and not numbers."""
    return getattr(tensor, "quant_type", None) is not None


def dequantised(tensor: Any) -> Any:
    """The numbers of a `GGUFParameter`, fp32 or fp16 as diffusers computes them; shape (rows, columns)."""
    from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor

    return dequantize_gguf_tensor(tensor)
