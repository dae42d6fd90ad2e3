"""What past runs took: the newest of each kind, and no more than that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.models.estimate import RunTime
from backend.storage import run_times
from backend.storage.store import Store
from backend.utils.clock import ManualClock
from tests.unit.storage.kit import open_test_store

RUN = RunTime(
    "wan2gp", "Wan Multitalk", "512p", "Some GPU", speech_ms=10_000, wall_ms=600_000, peak_vram_mib=9000
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await open_test_store(tmp_path, ManualClock())
    yield made
    await made.close()


async def latest(store: Store, run: RunTime = RUN) -> list[RunTime]:
    return await store.run_times.latest(
        engine=run.engine, model=run.model, resolution=run.resolution, gpu=run.gpu
    )


async def test_runs_come_back_newest_first_as_they_were(store: Store) -> None:
    await store.run_times.record(RUN)
    second = replace(RUN, wall_ms=500_000, peak_vram_mib=None)
    await store.run_times.record(second)
    assert await latest(store) == [second, RUN]


@pytest.mark.parametrize(
    "change",
    [{"engine": "infinitetalk"}, {"model": "Fantasy"}, {"resolution": "720p"}, {"gpu": "Another GPU"}],
)
async def test_another_kind_of_run_is_another_list(store: Store, change: dict[str, Any]) -> None:
    other = replace(RUN, **change)
    await store.run_times.record(RUN)
    await store.run_times.record(other)
    assert await latest(store) == [RUN]
    assert await latest(store, other) == [other]


async def test_only_the_newest_of_a_kind_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_times, "KEPT_PER_KIND", 3)
    other = replace(RUN, model="Fantasy")
    await store.run_times.record(other)
    for number in range(1, 6):
        await store.run_times.record(replace(RUN, wall_ms=number))
    assert [run.wall_ms for run in await latest(store)] == [5, 4, 3]
    assert await latest(store, other) == [other]
    (count,) = tuple(await store.db.one("SELECT count(*) FROM run_times") or ())
    assert count == 4


async def test_the_table_has_a_bound_over_all_kinds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_times, "MAX_ROWS", 2)
    for name in ("one", "two", "three"):
        await store.run_times.record(replace(RUN, gpu=name))
    assert await latest(store, replace(RUN, gpu="one")) == []
    assert len(await latest(store, replace(RUN, gpu="three"))) == 1


@pytest.mark.parametrize("change", [{"speech_ms": 0}, {"wall_ms": 0}, {"wall_ms": -5}])
async def test_a_run_without_length_teaches_nothing(store: Store, change: dict[str, Any]) -> None:
    await store.run_times.record(replace(RUN, **change))
    assert await latest(store) == []


async def test_a_peak_of_nothing_is_no_peak(store: Store) -> None:
    await store.run_times.record(replace(RUN, peak_vram_mib=0))
    assert [run.peak_vram_mib for run in await latest(store)] == [None]
