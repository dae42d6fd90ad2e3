"""Which engines a job gets, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from backend.engines.base import READY, BaseEngineAdapter, Readiness
from backend.engines.registry import EngineRegistry
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.services.engine_router import EngineRouter

MISSING = Readiness("NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, "not installed", "install it")
RESTING = Readiness("UNAVAILABLE", ErrorCode.ENGINE_UNAVAILABLE, "rests", "wait")


class Engine(BaseEngineAdapter):
    def __init__(self, name: str, readiness: Readiness = READY) -> None:
        self._name = name
        self._readiness = readiness

    @property
    def name(self) -> str:
        return self._name

    def readiness(self) -> Readiness:
        return self._readiness

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        raise AssertionError("a plan runs nothing")


def router(**readiness: Readiness) -> EngineRouter:
    registry = EngineRegistry()
    for name, state in readiness.items():
        registry.register(Engine(name, state))
    return EngineRouter(registry)


def test_auto_takes_the_installed_engines_best_first() -> None:
    plan = router(draft=READY, wan2gp=READY, infinitetalk=READY).plan("auto")
    assert plan.engines == ("infinitetalk", "wan2gp", "draft")


def test_auto_leaves_out_what_is_not_installed() -> None:
    assert router(draft=READY, wan2gp=MISSING, infinitetalk=MISSING).plan("auto").engines == ("draft",)


def test_auto_keeps_an_installed_engine_that_rests() -> None:
    assert router(draft=READY, wan2gp=RESTING, infinitetalk=MISSING).plan("auto").engines == (
        "wan2gp",
        "draft",
    )


def test_a_named_engine_is_planned_even_when_it_is_missing() -> None:
    engines = router(draft=READY, wan2gp=MISSING, infinitetalk=MISSING)
    assert engines.plan("infinitetalk").engines == ("infinitetalk", "wan2gp")
    assert engines.plan("wan2gp").engines == ("wan2gp",)
    assert engines.plan("draft").engines == ("draft",)


def test_without_fallback_only_the_first_engine_is_planned() -> None:
    assert router(draft=READY, wan2gp=READY).plan("auto", allow_fallback=False).engines == ("wan2gp",)


def test_a_registered_engine_is_a_valid_choice() -> None:
    assert router(draft=READY, my_engine=READY).plan("my_engine").engines == ("my_engine",)


def test_an_unknown_engine_is_refused_with_the_known_names() -> None:
    with pytest.raises(RequestError) as caught:
        router(draft=READY).plan("sora")
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert "draft" in caught.value.detail


def test_after_the_last_engine_comes_none() -> None:
    plan = router(draft=READY, wan2gp=READY).plan("auto")
    assert plan.after("wan2gp") == "draft"
    assert plan.after("draft") is None
    assert plan.after("unknown") is None


@pytest.mark.parametrize("name", ["auto", "", "A", "x", "has space", "../up", "a" * 40])
def test_a_name_that_is_reserved_or_malformed_cannot_be_registered(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an engine"):
        EngineRegistry().register(Engine(name))


def test_a_name_can_be_registered_once() -> None:
    registry = EngineRegistry()
    registry.register(Engine("mine"))
    with pytest.raises(ValueError, match="already"):
        registry.register(Engine("mine"))
