"""Memory and processor of this computer at one moment. Runs in the service process; blocks for milliseconds."""

from __future__ import annotations

import os

import psutil

from backend.models.system import CpuView, MemoryView


class MachineFigures:
    """Measures the processor between two looks; the first one has nothing to compare with."""

    def __init__(self) -> None:
        self._has_looked = False

    def cpu(self) -> CpuView:
        load = float(psutil.cpu_percent(interval=None))
        known, self._has_looked = self._has_looked, True
        return CpuView(count=os.cpu_count() or 1, load_percent=load if known else None)

    def memory(self) -> MemoryView:
        found = psutil.virtual_memory()
        return MemoryView(total_bytes=int(found.total), free_bytes=int(found.available))
