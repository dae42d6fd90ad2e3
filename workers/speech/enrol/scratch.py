"""Sound on disk while a recording is examined: 16 bit, one channel, no header. Runs in the speech worker."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

_BYTES = 2
_SCALE = 32767.0

F32 = npt.NDArray[np.float32]


class ScratchWriter:
    """A context manager; `write` appends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> ScratchWriter:
        self._stream = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def write(self, samples: F32) -> None:
        """Append samples in -1..1."""
        if self._stream is None:
            raise RuntimeError("the scratch file is not open")
        self._stream.write((np.clip(samples, -1.0, 1.0) * _SCALE).astype("<i2").tobytes())


class Scratch:
    """Reads stretches of a scratch file."""

    def __init__(self, path: Path, rate: int) -> None:
        self.rate = rate
        self._path = path
        self._count = path.stat().st_size // _BYTES

    @property
    def duration_s(self) -> float:
        return self._count / self.rate

    def read(self, start_s: float, end_s: float) -> F32:
        """The samples between two times; less at the end of the file."""
        first = min(max(round(start_s * self.rate), 0), self._count)
        last = min(max(round(end_s * self.rate), first), self._count)
        with self._path.open("rb") as stream:
            stream.seek(first * _BYTES)
            data = stream.read((last - first) * _BYTES)
        return np.asarray(np.frombuffer(data, "<i2") / _SCALE, np.float32)
