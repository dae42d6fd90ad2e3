"""Weight files, opened by their header and read one tensor at a time. Runs in the InfiniteTalk worker.

A source lists its tensors without reading them and gives each one as fresh host memory that nobody
else holds. No file is mapped into memory: a mapped file of 33 GB would count as resident memory while
it is read, would be locked on Windows, and would kill the process if it were cut short meanwhile. So
the host holds, of a file, one tensor at any time.

Formats: safetensors (8 bytes little-endian length, a JSON header, the data;
https://huggingface.co/docs/safetensors#format) and pickles of PyTorch, the latter only with
`weights_only=True`, which builds tensors and containers and calls nothing else. GGUF: `gguf_file.py`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch

from workers.infinitetalk.weights import problems

# What the reference implementation of safetensors accepts; a larger header is no header.
MAX_HEADER_BYTES = 100_000_000
# One read() of more than 2 GiB is cut short on Linux and refused on Windows.
READ_BYTES = 1 << 28

DTYPES: Mapping[str, Any] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file. `dtype` as the file names it; `offset` from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class TensorSource(Protocol):
    """One file of tensors."""

    path: Path
    entries: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]

    def read(self, name: str) -> Any:
        """The tensor, on the host, in the file's own type. Raises `TaskError`."""


def read_bytes(path: Path, offset: int, nbytes: int) -> Any:
    """(nbytes,) uint8 on the host. Raises `TaskError(model_missing)` when the file ends before."""
    buffer = torch.empty(nbytes, dtype=torch.uint8)
    view = memoryview(buffer.numpy())
    done = 0
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while done < nbytes:
                count = file.readinto(view[done : done + READ_BYTES])
                if not count:
                    raise problems.damaged(path, f"ends at byte {offset + done}")
                done += count
    except OSError as error:
        raise problems.unreadable(path, error) from error
    return buffer


class SafetensorsFile:
    """A `.safetensors` file. Its header is read and checked when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        header, start, size = _header(path)
        metadata = header.pop("__metadata__", {})
        self.metadata: Mapping[str, str] = metadata if isinstance(metadata, dict) else {}
        self.entries: Mapping[str, TensorInfo] = {
            name: _checked(path, name, entry, start) for name, entry in header.items()
        }
        end = max((info.offset + info.nbytes for info in self.entries.values()), default=start)
        if size != end:
            raise problems.damaged(path, f"{size} bytes, its header speaks of {end}")
        self.nbytes = size

    def read(self, name: str) -> Any:
        info = self.entries[name]
        dtype = DTYPES.get(info.dtype)
        if dtype is None:
            raise problems.unsupported(self.path, f"numbers of type {info.dtype}")
        return read_bytes(self.path, info.offset, info.nbytes).view(dtype).reshape(info.shape)


def _header(path: Path) -> tuple[dict[str, Any], int, int]:
    """The header, where the data begin, the size of the file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise problems.damaged(path, f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
    except FileNotFoundError as error:
        raise problems.missing_file(path) from error
    except OSError as error:
        raise problems.unreadable(path, error) from error
    except (struct.error, ValueError) as error:
        raise problems.damaged(path, f"no safetensors header: {error}") from error
    if not isinstance(header, dict):
        raise problems.damaged(path, "the header is not an object")
    return header, 8 + length, size


def _checked(path: Path, name: str, entry: Any, start: int) -> TensorInfo:
    try:
        dtype = str(entry["dtype"])
        shape = tuple(int(size) for size in entry["shape"])
        begin, end = (int(offset) for offset in entry["data_offsets"])
    except (TypeError, KeyError, ValueError) as error:
        raise problems.damaged(path, f"{name}: the header is not understood") from error
    count = 1
    for size in shape:
        count *= size
    itemsize = DTYPES[dtype].itemsize if dtype in DTYPES else None
    if begin < 0 or end < begin or min(shape, default=0) < 0:
        raise problems.damaged(path, f"{name}: impossible offsets")
    if itemsize is not None and count * itemsize != end - begin:
        raise problems.damaged(path, f"{name}: {end - begin} bytes for {shape} {dtype}")
    return TensorInfo(dtype, shape, start + begin, end - begin)


class PickledFile:
    """A `.pth` or `.bin` of PyTorch: a dictionary of tensors, opened with `weights_only=True`.

    Wan publishes umT5, CLIP and the VAE like this and nowhere the transformer. The file is mapped, so
    opening it reads nothing; `read` copies one tensor out of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: Mapping[str, str] = {}
        state = _unpickled(path)
        for wrapper in ("state_dict", "model", "module"):
            if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
                state = state[wrapper]
        if not isinstance(state, dict) or not any(
            isinstance(value, torch.Tensor) for value in state.values()
        ):
            raise problems.unsupported(path, "it holds no dictionary of tensors")
        self._state = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
        names = {dtype: name for name, dtype in DTYPES.items()}
        self.entries: Mapping[str, TensorInfo] = {
            name: TensorInfo(
                names.get(value.dtype, str(value.dtype)),
                tuple(value.shape),
                0,
                value.numel() * value.itemsize,
            )
            for name, value in self._state.items()
        }

    def read(self, name: str) -> Any:
        return self._state[name].detach().clone(memory_format=torch.contiguous_format)


def _unpickled(path: Path) -> Any:
    if not path.is_file():
        raise problems.missing_file(path)
    try:
        # Files older than PyTorch 1.6 are no zip archives and cannot be mapped.
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UnpicklingError as error:
        reason = str(error).splitlines()[0] if str(error) else "not a pickle of tensors"
        raise problems.unsupported(path, f"not a plain file of tensors ({reason[:120]})") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise problems.damaged(path, f"cannot be opened: {error}") from error
