"""The machine and the first run, on the wire. Pure types, no I/O."""

from __future__ import annotations

from backend.models.job import WireModel


class MemoryView(WireModel):
    """`free_bytes`: what programs can have without the system writing memory to the disk."""

    total_bytes: int
    free_bytes: int


class CpuView(WireModel):
    """`load_percent`: of all cores since the last look, 0 to 100; null at the first."""

    count: int
    load_percent: float | None


class DataView(WireModel):
    """Where the data lies, and what its disk has left. `path`: only for the page of this service."""

    path: str | None
    free_bytes: int
    total_bytes: int


class FirstRun(WireModel):
    """Body of `POST /api/system/first-run`."""

    done: bool


class FirstRunView(WireModel):
    """Whether the page should begin with its welcome."""

    first_run: bool
