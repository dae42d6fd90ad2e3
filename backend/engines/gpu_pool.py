"""Which NVIDIA GPUs this machine has, and how much of their memory is free. Runs in the service process.

NVML is the driver's own library, called through nvidia-ml-py: plain ctypes, no CUDA context, no memory on the card.
Without a driver, or without the library, there are no GPUs; nothing else is concluded from that.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from backend.utils.logger import app_logger

# NVML answers in milliseconds; a card that fell off the bus can hold it for ever.
LOOK_WITHIN_S = 5.0
_MIB = 1 << 20


@dataclass(frozen=True)
class GpuFacts:
    """One GPU at one moment. `index` is that of nvidia-smi. None is what the driver does not tell: memory that is shared
    with the processor, the load of a card of a virtual machine. `utilisation_percent`: of the last moments, 0 to 100."""

    index: int
    uuid: str
    name: str
    total_mib: int | None
    free_mib: int | None
    compute_capability: tuple[int, int] | None
    utilisation_percent: int | None = None
    temperature_c: int | None = None


class GpuDriver(Protocol):
    """Where the facts come from. Tests have a twin."""

    def look(self) -> tuple[GpuFacts, ...]:
        """All GPUs, now. Blocks for milliseconds; empty when there is no driver."""


class NvidiaDriver:
    """NVML. It stays open between two looks: on a machine whose driver sleeps when nobody uses it, each opening takes a
    second. After an error it is opened anew, so a driver that was restarted is found again. One look at a time."""

    def __init__(self) -> None:
        self._is_open = False

    def look(self) -> tuple[GpuFacts, ...]:
        try:
            nvml: Any = importlib.import_module("pynvml")
        except ImportError:
            return ()
        try:
            if not self._is_open:
                nvml.nvmlInit()
                self._is_open = True
        except nvml.NVMLError:
            return ()  # no NVIDIA driver: the usual case on most machines
        try:
            count = nvml.nvmlDeviceGetCount()
            return tuple(facts for index in range(count) if (facts := _facts(nvml, index)) is not None)
        except nvml.NVMLError as error:
            app_logger.warning("the NVIDIA driver does not answer: %s", error)
            self._close(nvml)
            return ()

    def _close(self, nvml: Any) -> None:
        self._is_open = False
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            app_logger.debug("NVML was closed already: %s", error)


def _facts(nvml: Any, index: int) -> GpuFacts | None:
    """One GPU; None when it cannot be reached at all. What an older driver or card does not know is None."""

    def ask(question: Any) -> Any:
        try:
            return question()
        except nvml.NVMLError:
            return None

    handle = ask(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    uuid = None if handle is None else ask(lambda: nvml.nvmlDeviceGetUUID(handle))
    if uuid is None:
        app_logger.warning("GPU %d cannot be reached and is left out", index)
        return None
    memory = ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    capability = ask(lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    load = ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    # 0 is the sensor of the chip itself (NVML_TEMPERATURE_GPU).
    temperature = ask(lambda: nvml.nvmlDeviceGetTemperature(handle, 0))
    return GpuFacts(
        index=index,
        uuid=_text(uuid),
        name=_text(ask(lambda: nvml.nvmlDeviceGetName(handle)) or "NVIDIA GPU"),
        total_mib=None if memory is None else int(memory.total) // _MIB,
        free_mib=None if memory is None else int(memory.free) // _MIB,
        compute_capability=None if capability is None else (int(capability[0]), int(capability[1])),
        utilisation_percent=None if load is None else int(load.gpu),
        temperature_c=None if temperature is None else int(temperature),
    )


def _text(value: str | bytes) -> str:
    """Older releases of the library answer in bytes."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value


class GpuPool:
    """The GPUs that this service may use; looked at on demand, off the event loop."""

    def __init__(self, driver: GpuDriver, *, visible: str | None = None) -> None:
        """`visible`: what CUDA_VISIBLE_DEVICES of the service's environment says, None when it is not set."""
        self._driver = driver
        self._visible = visible
        self._last: tuple[GpuFacts, ...] = ()
        self._looking: asyncio.Future[tuple[GpuFacts, ...]] | None = None

    async def gpus(self) -> tuple[GpuFacts, ...]:
        """All of them, now. Those of the last look when the driver does not answer in time."""
        # One look serves all who ask meanwhile, and a driver that hangs holds one thread and not one for each.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._driver.look))
        looking = self._looking
        await asyncio.wait({looking}, timeout=LOOK_WITHIN_S)
        if looking.done():
            self._last = tuple(visible_gpus(looking.result(), self._visible))
        else:
            app_logger.warning("the NVIDIA driver has not answered for %g s", LOOK_WITHIN_S)
        return self._last

    def last(self) -> tuple[GpuFacts, ...]:
        """Those of the last look, at once."""
        return self._last

    def largest_mib(self) -> int | None:
        """Memory of the largest card; None when there is none or the driver does not tell."""
        return max((gpu.total_mib for gpu in self._last if gpu.total_mib is not None), default=None)


def visible_gpus(gpus: Iterable[GpuFacts], visible: str | None) -> list[GpuFacts]:
    """Those that CUDA_VISIBLE_DEVICES leaves, in its order; numbers are taken as nvidia-smi's.

    As CUDA reads it: the list ends at the first entry that names no GPU, so an empty value or -1 hides all.
    """
    found = list(gpus)
    if visible is None:
        return found
    chosen: list[GpuFacts] = []
    for entry in (part.strip() for part in visible.split(",")):
        named = [gpu for gpu in found if _is_named(gpu, entry)]
        if len(named) != 1 or named[0] in chosen:
            break
        chosen.append(named[0])
    return chosen


def _is_named(gpu: GpuFacts, entry: str) -> bool:
    if entry.isascii() and entry.isdecimal():
        return gpu.index == int(entry)
    return entry.startswith("GPU-") and gpu.uuid.startswith(entry)
