"""Which GPUs the driver tells of, and which of them the service may use."""

from __future__ import annotations

import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from backend.engines import gpu_pool
from backend.engines.gpu_pool import GpuFacts, GpuPool, NvidiaDriver, visible_gpus
from tests.support.twin_gpus import TwinDriver, gpu


class NVMLError(Exception):
    """As of nvidia-ml-py."""


def fake_nvml(monkeypatch: pytest.MonkeyPatch, **changes: object) -> ModuleType:
    """The part of nvidia-ml-py that is used, with one card; older releases answer in bytes."""
    module = ModuleType("pynvml")
    module.opened = 0  # type: ignore[attr-defined]

    def opened(step: int) -> None:
        module.opened += step  # type: ignore[attr-defined]

    memory = SimpleNamespace(total=24 << 30, free=20 << 30)
    answers: dict[str, object] = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: opened(1),
        "nvmlShutdown": lambda: opened(-1),
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda handle: b"GPU-1234",
        "nvmlDeviceGetName": lambda handle: "NVIDIA GeForce RTX 4090",
        "nvmlDeviceGetMemoryInfo": lambda handle: memory,
        "nvmlDeviceGetCudaComputeCapability": lambda handle: (8, 9),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=37, memory=12),
        "nvmlDeviceGetTemperature": lambda handle, sensor: 61 + sensor,
        **changes,
    }
    for name, answer in answers.items():
        setattr(module, name, answer)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


def refuse(*_: object) -> None:
    raise NVMLError("Not Supported")


def test_a_card_is_told_with_its_memory_in_mebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_nvml(monkeypatch)
    facts = GpuFacts(0, "GPU-1234", "NVIDIA GeForce RTX 4090", 24 * 1024, 20 * 1024, (8, 9), 37, 61)
    driver = NvidiaDriver()
    assert driver.look() == driver.look() == (facts,)
    assert module.opened == 1, "it stays open: opening may take a second"


def test_a_driver_that_was_restarted_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_nvml(monkeypatch)
    driver = NvidiaDriver()
    count = module.nvmlDeviceGetCount
    module.nvmlDeviceGetCount = refuse  # type: ignore[attr-defined]
    assert driver.look() == ()
    assert module.opened == 0
    module.nvmlDeviceGetCount = count  # type: ignore[attr-defined]
    assert len(driver.look()) == 1


def test_what_a_card_does_not_tell_is_unknown_and_the_rest_still_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions = ("MemoryInfo", "CudaComputeCapability", "UtilizationRates", "Temperature")
    fake_nvml(monkeypatch, **{f"nvmlDeviceGet{question}": refuse for question in questions})
    (facts,) = NvidiaDriver().look()
    assert (facts.total_mib, facts.free_mib, facts.compute_capability) == (None, None, None)
    assert (facts.utilisation_percent, facts.temperature_c) == (None, None)


def test_a_card_that_cannot_be_reached_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(index: int) -> int:
        if index == 0:
            raise NVMLError("GPU is lost")
        return index

    fake_nvml(monkeypatch, nvmlDeviceGetCount=lambda: 2, nvmlDeviceGetHandleByIndex=handle)
    assert [facts.index for facts in NvidiaDriver().look()] == [1]


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetCount"])
def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    fake_nvml(monkeypatch, **{broken: refuse})
    assert NvidiaDriver().look() == ()


def test_without_the_library_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert NvidiaDriver().look() == ()


def test_the_real_library_can_be_asked_on_any_machine() -> None:
    assert isinstance(NvidiaDriver().look(), tuple)


THREE = [gpu(0), gpu(1), gpu(2)]


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, [0, 1, 2]),
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("GPU-00000001", [1]),
        ("", []),
        ("-1", []),
        ("0,-1,1", [0]),
        ("0,9,1", [0]),
        ("0,0", [0]),
        ("GPU-0", []),
        ("banana", []),
    ],
)
def test_the_variable_of_cuda_is_read_as_cuda_reads_it(visible: str | None, indices: list[int]) -> None:
    assert [one.index for one in visible_gpus(THREE, visible)] == indices


async def test_the_pool_looks_anew_each_time_and_remembers_the_last_look() -> None:
    driver = TwinDriver([gpu(0, free_mib=100)])
    pool = GpuPool(driver)
    assert (pool.last(), pool.largest_mib()) == ((), None)
    assert (await pool.gpus())[0].free_mib == 100
    driver.set_free(0, 50)
    assert pool.last()[0].free_mib == 100
    assert (await pool.gpus())[0].free_mib == 50
    assert pool.largest_mib() == 24_000


async def test_a_driver_that_hangs_holds_one_thread_and_nobody_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_pool, "LOOK_WITHIN_S", 0.05)
    answering = threading.Event()

    class Hanging(TwinDriver):
        def look(self) -> tuple[GpuFacts, ...]:
            facts = super().look()
            answering.wait(60)
            return facts

    driver = Hanging([gpu(0)])
    pool = GpuPool(driver)
    assert await pool.gpus() == ()
    assert await pool.gpus() == ()
    assert driver.looks == 1
    monkeypatch.setattr(gpu_pool, "LOOK_WITHIN_S", 30.0)
    answering.set()
    assert [one.index for one in await pool.gpus()] == [0]
