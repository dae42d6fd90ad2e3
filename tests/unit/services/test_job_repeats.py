"""Which engines make the final video of a draft, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from backend.engines.base import BaseEngineAdapter, Readiness
from backend.engines.registry import EngineRegistry
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.job import JobCreate, PromoteRequest
from backend.services.engine_router import EngineRouter
from backend.services.job_repeats import PRESET_OF, JobRepeats


class Engine(BaseEngineAdapter):
    """An engine that is there, or not, and makes nothing."""

    def __init__(self, name: str, is_there: bool) -> None:
        self._name = name
        self._is_there = is_there

    @property
    def name(self) -> str:
        return self._name

    def readiness(self) -> Readiness:
        if self._is_there:
            return Readiness("READY")
        return Readiness(
            "NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, f"{self._name} is away.", "Fetch it."
        )

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        raise AssertionError("nothing is made here")


def repeats(**there: bool) -> JobRepeats:
    registry = EngineRegistry()
    for name in ("infinitetalk", "wan2gp", "draft", "mine"):
        registry.register(Engine(name, there.get(name, False)))
    unused: Any = None
    return JobRepeats(store=unused, jobs=unused, router=EngineRouter(registry), voices=unused)


def request(*, allow: bool = True) -> JobCreate:
    return JobCreate.model_validate(
        {"voice_id": "v", "avatar_url": "a", "script_input": "s", "fallback": {"allow": allow}}
    )


@pytest.mark.parametrize(
    ("there", "named", "allow", "engines"),
    [
        ({"infinitetalk": True, "wan2gp": True}, None, True, ("infinitetalk", "wan2gp")),
        ({"infinitetalk": True, "wan2gp": True}, "auto", False, ("infinitetalk",)),
        ({"wan2gp": True, "draft": True}, None, True, ("wan2gp",)),
        ({"infinitetalk": True, "wan2gp": True}, "infinitetalk", True, ("infinitetalk", "wan2gp")),
        ({"infinitetalk": True}, "infinitetalk", True, ("infinitetalk",)),
        ({"infinitetalk": True, "wan2gp": True}, "wan2gp", True, ("wan2gp",)),
        ({"mine": True}, "mine", True, ("mine",)),
    ],
)
def test_the_plan_holds_installed_engines_and_never_the_draft_engine(
    there: dict[str, bool], named: str | None, allow: bool, engines: tuple[str, ...]
) -> None:
    assert repeats(**there)._engines(named, request(allow=allow)) == engines


@pytest.mark.parametrize(
    ("there", "named", "code", "said"),
    [
        ({"draft": True}, None, ErrorCode.ENGINE_NOT_INSTALLED, "No engine"),
        # Somebody who names an engine gets no other in silence.
        ({"wan2gp": True}, "infinitetalk", ErrorCode.ENGINE_NOT_INSTALLED, "infinitetalk is away."),
        ({"draft": True}, "draft", ErrorCode.VALIDATION_FAILED, "draft makes drafts"),
        ({"wan2gp": True}, "nobody", ErrorCode.VALIDATION_FAILED, "no engine of that name"),
    ],
)
def test_what_no_engine_can_make_final_is_refused_with_a_fix(
    there: dict[str, bool], named: str | None, code: ErrorCode, said: str
) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        repeats(**there)._engines(named, request())
    assert caught.value.code is code
    assert caught.value.hint


def test_every_quality_has_a_preset() -> None:
    qualities = PromoteRequest.model_json_schema()["properties"]["quality"]["enum"]
    assert sorted(PRESET_OF) == sorted(qualities)
