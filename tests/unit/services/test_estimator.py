"""The verdict about a job before it is made: what fits, what it takes, and on what that rests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.engines.base import READY, BaseEngineAdapter, EngineKind, Readiness
from backend.engines.registry import EngineRegistry
from backend.engines.wan2gp_models import load_wan2gp_models
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.estimate import JobEstimate, RunTime
from backend.models.job import JobCreate
from backend.services.engine_router import EngineRouter
from backend.services.estimator import JOB_BYTES, JOB_BYTES_PER_S, Estimator
from backend.services.model_transfer import RESERVE_BYTES
from backend.storage.store import Store
from backend.utils.config import BUNDLE_DIR
from tests.unit.storage.kit import open_test_store

WAN2GP = load_wan2gp_models(BUNDLE_DIR / "assets")
GIB = 1 << 30
# 30 s at speed 1.
THIRTY_SECONDS = "好" * 150


@dataclass(frozen=True)
class Card:
    name: str
    total_mib: int | None
    free_mib: int | None


class Engine(BaseEngineAdapter):
    def __init__(self, name: str, kind: EngineKind, readiness: Readiness = READY) -> None:
        self._name = name
        self.kind = kind
        self._readiness = readiness

    @property
    def name(self) -> str:
        return self._name

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        raise AssertionError("an estimate runs no engine")

    def readiness(self) -> Readiness:
        return self._readiness


class Jobs:
    """What JobService says of a request; nothing else of it is of use to an estimate."""

    def __init__(self, router: EngineRouter) -> None:
        self._router = router

    async def prepare(self, request: JobCreate) -> SimpleNamespace:
        plan = self._router.plan(request.preferred_engine, allow_fallback=request.fallback.allow)
        return SimpleNamespace(engine_plan=plan.engines)


@dataclass
class Models:
    """Weights by id: those that are here, and the size of those that are not."""

    here: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)

    def ready_now(self, model_id: str) -> bool:
        if model_id not in self.here and model_id not in self.sizes:
            raise RequestError(ErrorCode.MODEL_NOT_FOUND, "There is no such model.")
        return model_id in self.here

    async def to_fetch_bytes(self, model_ids: Iterable[str]) -> int:
        return sum(self.sizes.get(model_id, 0) for model_id in model_ids)


@dataclass
class Desk:
    """An estimator and what it looks at; change that, then ask."""

    store: Store
    folder: Path
    models: Models = field(default_factory=Models)
    cards: list[Card] = field(default_factory=list)
    wan2gp: Readiness = READY

    async def ask(self, **changes: Any) -> JobEstimate:
        registry = EngineRegistry()
        for engine in (Engine("wan2gp", "gpu", self.wan2gp), Engine("draft", "cpu"), Engine("odd", "plugin")):
            registry.register(engine)
        router = EngineRouter(registry)

        async def gpus() -> list[Card]:
            return self.cards

        estimator = Estimator(
            jobs=Jobs(router),  # type: ignore[arg-type]
            router=router,
            models=self.models,  # type: ignore[arg-type]
            wan2gp=WAN2GP,
            run_times=self.store.run_times,
            gpus=gpus,
            data_dir=self.folder,
        )
        body = {
            "voice_id": "voice_builtinafheart",
            "avatar_url": "avatar_builtinaria",
            "script_input": THIRTY_SECONDS,
            **changes,
        }
        return await estimator.estimate(JobCreate.model_validate(body))

    def all_weights(self) -> None:
        self.models.here = {
            model_id for model in WAN2GP.all for size in ("512p", "720p") for model_id in model.needs(1, size)
        }


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits must not depend on the disk of the machine that runs the tests."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000 * GIB))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await open_test_store(tmp_path)
    yield Desk(store, tmp_path)
    await store.close()


def codes(estimate: JobEstimate) -> list[ErrorCode]:
    return [reason.code for reason in estimate.reasons]


async def test_the_draft_engine_fits_everywhere_and_says_that_its_time_is_from_a_table(desk: Desk) -> None:
    found = await desk.ask(preferred_engine="draft")
    assert (found.fits, found.engine, found.falls_back_to, found.reasons) == (True, "draft", None, [])
    assert (found.vram_needed_mib, found.vram_free_mib, found.wangp_model) == (None, None, None)
    assert found.speech_seconds == 30.0
    assert (found.minutes, found.basis, found.runs) == (round(30 * 0.41 / 60, 2), "table", 0)
    assert found.disk_needed_bytes == JOB_BYTES + 30 * JOB_BYTES_PER_S
    assert found.disk_free_bytes > 0


async def test_past_runs_win_over_the_table_and_the_median_over_the_odd_one(desk: Desk) -> None:
    for wall_ms in (20_000, 600_000, 30_000):
        await desk.store.run_times.record(RunTime("draft", "", "512p", "", speech_ms=10_000, wall_ms=wall_ms))
    found = await desk.ask(preferred_engine="draft")
    assert (found.minutes, found.basis, found.runs) == (1.5, "measured", 3)
    other = await desk.ask(preferred_engine="draft", output={"resolution": "720p"})
    assert (other.basis, other.runs) == ("table", 0)


async def test_an_engine_without_table_and_runs_is_honest_about_it(desk: Desk) -> None:
    found = await desk.ask(preferred_engine="odd")
    assert (found.fits, found.minutes, found.basis, found.runs) == (True, None, None, 0)


async def test_a_model_that_is_here_on_a_card_that_is_large_enough_fits(desk: Desk) -> None:
    desk.all_weights()
    desk.cards = [Card("Small", 4000, 4000), Card("Large", 24_000, 23_000)]
    found = await desk.ask(preferred_engine="wan2gp", wangp_model="Wan Multitalk")
    multitalk = WAN2GP.get("Wan Multitalk")
    assert multitalk is not None
    assert (found.fits, found.wangp_model, found.reasons) == (True, "Wan Multitalk", [])
    assert (found.vram_needed_mib, found.vram_free_mib) == (multitalk.min_vram_mib, 23_000)
    assert found.minutes == round(30 * multitalk.table_s_per_video_s["512p"] / 60, 2)
    assert (found.basis, found.missing_models) == ("table", [])


async def test_the_answer_is_about_the_model_that_would_be_chosen(desk: Desk) -> None:
    desk.models.here = set(WAN2GP.all[4].catalogue)
    desk.cards = [Card("Large", 24_000, 24_000)]
    found = await desk.ask(preferred_engine="wan2gp")
    assert (found.wangp_model, found.fits) == (WAN2GP.all[4].name, True)


async def test_runs_count_for_their_model_and_their_card_only(desk: Desk) -> None:
    desk.all_weights()
    desk.cards = [Card("Large", 24_000, 24_000)]
    run = RunTime(
        "wan2gp", "Fantasy", "512p", "Large", speech_ms=10_000, wall_ms=300_000, peak_vram_mib=15_000
    )
    await desk.store.run_times.record(run)
    await desk.store.run_times.record(replace(run, peak_vram_mib=9_000))
    await desk.store.run_times.record(replace(run, peak_vram_mib=None))
    found = await desk.ask(preferred_engine="wan2gp", wangp_model="Fantasy")
    assert (found.minutes, found.basis, found.runs, found.vram_needed_mib) == (15.0, "measured", 3, 15_000)
    desk.cards = [Card("Another", 24_000, 24_000)]
    assert (await desk.ask(preferred_engine="wan2gp", wangp_model="Fantasy")).basis == "table"
    desk.cards = [Card("Large", 24_000, 24_000)]
    assert (await desk.ask(preferred_engine="wan2gp", wangp_model="Wan Multitalk")).basis == "table"


async def test_a_card_that_is_too_small_is_told(desk: Desk) -> None:
    desk.all_weights()
    desk.cards = [Card("Small", 4000, 4000)]
    found = await desk.ask(preferred_engine="wan2gp", wangp_model="Wan Multitalk")
    assert (found.fits, codes(found)) == (False, [ErrorCode.GPU_OOM])
    assert "4000 MiB" in found.reasons[0].message


async def test_memory_that_is_taken_now_leaves_it_open(desk: Desk) -> None:
    desk.all_weights()
    desk.cards = [Card("Large", 24_000, 1000)]
    found = await desk.ask(preferred_engine="wan2gp", wangp_model="Wan Multitalk")
    assert (found.fits, codes(found)) == (None, [ErrorCode.GPU_OOM])


@pytest.mark.parametrize("cards", [[], [Card("Shared", None, None)]])
async def test_without_a_driver_that_tells_nothing_is_claimed(desk: Desk, cards: list[Card]) -> None:
    desk.all_weights()
    desk.cards = cards
    found = await desk.ask(preferred_engine="wan2gp", wangp_model="Wan Multitalk")
    assert (found.fits, codes(found), found.vram_free_mib) == (None, [ErrorCode.GPU_UNSUPPORTED], None)


async def test_weights_that_are_missing_are_named_and_counted_into_the_disk(desk: Desk) -> None:
    desk.cards = [Card("Large", 24_000, 24_000)]
    desk.models = Models(here={"wan2gp-core"}, sizes={"wan2gp-multitalk": 29 * GIB})
    found = await desk.ask(preferred_engine="wan2gp", wangp_model="Wan Multitalk")
    assert (found.fits, codes(found), found.missing_models) == (
        False,
        [ErrorCode.MODEL_MISSING],
        ["wan2gp-multitalk"],
    )
    assert found.disk_needed_bytes == JOB_BYTES + 30 * JOB_BYTES_PER_S + 29 * GIB
    assert found.minutes is not None


async def test_when_nothing_is_here_the_best_model_is_what_to_fetch(desk: Desk) -> None:
    found = await desk.ask(preferred_engine="wan2gp")
    assert found.wangp_model == "LongCat Avatar 1.5"
    assert found.missing_models == ["wan2gp-core", "wan2gp-longcat-avatar-1.5"]
    assert found.fits is False


async def test_two_speakers_ask_for_a_model_that_can_do_them(desk: Desk) -> None:
    desk.all_weights()
    desk.cards = [Card("Large", 24_000, 24_000)]
    talk = {
        "script_input": "A: 你好。\nB: 你好。",
        "speakers": [{"name": name, "voice_id": "voice_builtinafheart"} for name in "AB"],
    }
    one = await desk.ask(preferred_engine="wan2gp", wangp_model="Fantasy", **talk)
    assert (one.fits, codes(one), one.missing_models) == (False, [ErrorCode.ENGINE_UNAVAILABLE], [])
    two = await desk.ask(preferred_engine="wan2gp", wangp_model="InfiniteTalk (Wan2GP)", **talk)
    assert two.missing_models == ["wan2gp-infinitetalk-multi"]
    assert two.speech_seconds == 1.2, "names are not spoken"


async def test_an_engine_that_cannot_work_says_why_once_and_who_takes_over(desk: Desk) -> None:
    desk.cards = [Card("Large", 24_000, 24_000)]
    desk.wan2gp = Readiness("UNAVAILABLE", ErrorCode.MODEL_MISSING, "No model is here.", "Download one.")
    found = await desk.ask(preferred_engine="auto")
    assert (found.engine, found.falls_back_to, found.fits) == ("wan2gp", "draft", False)
    assert codes(found) == [ErrorCode.MODEL_MISSING]
    desk.wan2gp = Readiness("NOT_INSTALLED", None, "It is not installed.", "Run the installer.")
    found = await desk.ask(preferred_engine="wan2gp")
    assert ErrorCode.ENGINE_NOT_INSTALLED in codes(found)
    assert "Run the installer." in found.reasons[-1].message


async def test_a_disk_that_is_too_full_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=RESERVE_BYTES))
    found = await desk.ask(preferred_engine="draft")
    assert (found.fits, codes(found), found.disk_free_bytes) == (False, [ErrorCode.DISK_FULL], RESERVE_BYTES)


async def test_a_text_that_is_still_to_be_written_takes_what_was_asked_for(desk: Desk) -> None:
    found = await desk.ask(
        preferred_engine="draft", script_mode="auto", script_input="a topic", script_settings={"seconds": 90}
    )
    assert found.speech_seconds == 90.0
