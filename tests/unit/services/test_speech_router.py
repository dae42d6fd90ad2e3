"""Which speech engine's turn it is: from the request, what is installed, and the job's hops."""

from __future__ import annotations

import pytest

from backend.engines.speech.builtin import BuiltinSpeechEngine
from backend.engines.speech.registry import SpeechRegistry
from backend.models.codes import ErrorCode, StageName
from backend.models.errors import EngineFailure, RequestError
from backend.models.records import AttemptOutcome, AttemptRecord
from backend.services.speech_router import SpeechPlan, SpeechRouter
from tests.support.twin_speech_engine import MISSING, TwinSpeechEngine
from tests.support.twin_worker import TwinWorker


def router(*engines: TwinSpeechEngine) -> SpeechRouter:
    return SpeechRouter(SpeechRegistry((*engines, BuiltinSpeechEngine(TwinWorker("speech")))))


def hop(
    engine: str,
    outcome: AttemptOutcome | None,
    code: ErrorCode | None = None,
    stage: StageName = StageName.SPEECH,
) -> AttemptRecord:
    return AttemptRecord(1, 1, stage, engine, None, 0, 1, outcome, None, code, "Why.", "")


@pytest.mark.parametrize(
    ("preferred", "is_own", "language", "expected"),
    [
        ("auto", True, "en", ("alpha", "builtin")),
        ("auto", True, "ja", ("builtin",)),
        ("auto", False, "en", ("builtin",)),
        ("gamma", False, "en", ("builtin",)),
        # Asked for by name: first, although it is not there or does not speak the language.
        ("gamma", True, "en", ("gamma", "alpha", "builtin")),
        ("alpha", True, "ja", ("alpha", "builtin")),
        ("alpha", True, "en", ("alpha", "builtin")),
        ("builtin", True, "en", ("builtin",)),
    ],
)
def test_the_plan_follows_from_voice_language_and_wish(
    preferred: str, is_own: bool, language: str, expected: tuple[str, ...]
) -> None:
    known = router(TwinSpeechEngine("alpha"), TwinSpeechEngine("gamma", readiness=MISSING))
    assert known.plan(preferred, is_own=is_own, language=language).engines == expected
    alone = known.plan(preferred, is_own=is_own, language=language, allow_fallback=False)
    assert alone.engines == expected[:1]


F, S = AttemptOutcome.FAILED, AttemptOutcome.SKIPPED


@pytest.mark.parametrize(
    ("hops", "expected"),
    [
        ([], "a"),
        ([hop("a", F, ErrorCode.TIMEOUT)], "b"),
        ([hop("a", F, ErrorCode.GPU_OOM)], "a"),
        ([hop("a", F, ErrorCode.GPU_OOM)] * 2, "b"),
        ([hop("a", F, ErrorCode.WORKER_CRASHED), hop("a", F, ErrorCode.TIMEOUT)], "b"),
        ([hop("a", S, ErrorCode.ENGINE_NOT_INSTALLED)], "b"),
        # Lost with the service, released or cancelled: nothing was learned about the engine.
        ([hop("a", AttemptOutcome.LOST, ErrorCode.WORKER_LOST)], "a"),
        ([hop("a", AttemptOutcome.RELEASED)], "a"),
        ([hop("a", None)], "a"),
        ([hop("a", F, ErrorCode.TIMEOUT), hop("b", AttemptOutcome.LOST, ErrorCode.WORKER_LOST)], "b"),
        ([hop("a", F, ErrorCode.TIMEOUT), hop("b", F, ErrorCode.NO_OUTPUT)], "c"),
        # The last one is asked again rather than nobody.
        ([hop("c", F, ErrorCode.TIMEOUT)], "c"),
        # Other stages say nothing about speech.
        ([hop("a", F, ErrorCode.TIMEOUT, StageName.VIDEO)], "a"),
        # An engine that has left the plan does not lead back to those before it.
        ([hop("gone", F, ErrorCode.TIMEOUT)], "a"),
        ([hop("b", AttemptOutcome.LOST, ErrorCode.WORKER_LOST)], "b"),
    ],
)
def test_the_place_in_the_plan_is_read_from_the_hops(hops: list[AttemptRecord], expected: str) -> None:
    assert SpeechPlan(("a", "b", "c"), "en").now(hops) == expected


def test_who_follows_is_the_next_of_the_plan() -> None:
    plan = SpeechPlan(("a", "b"), "en")
    assert (plan.after("a"), plan.after("b"), plan.after("x")) == ("b", None, None)


def test_an_engine_that_cannot_speak_here_says_why() -> None:
    known = router(TwinSpeechEngine("alpha", languages="zh"), TwinSpeechEngine("gamma", readiness=MISSING))
    for name, language, code in (
        ("alpha", "en", ErrorCode.ENGINE_UNAVAILABLE),
        ("gamma", "zh", ErrorCode.ENGINE_NOT_INSTALLED),
        ("gone", "zh", ErrorCode.ENGINE_NOT_INSTALLED),
    ):
        with pytest.raises(EngineFailure) as caught:
            known.able(name, language)
        assert caught.value.code is code
    assert known.able("alpha", "zh").name == "alpha"
    assert known.installable_clones() == ["Gamma"]
    with pytest.raises(RequestError):
        known.check("gone")


def test_what_the_built_in_engine_makes_of_ones_own_voice_is_never_called_a_clone() -> None:
    known = router(TwinSpeechEngine("alpha"))
    builtin = next(view for view in known.voice_engines(is_own=True) if view.engine == "builtin")
    assert (builtin.label_en, builtin.label_zh, builtin.is_clone) == (
        "Voice match (approximate)",
        "近似音色",
        False,
    )
    assert known.title("builtin", is_own=True) == "Voice match (approximate)"
    assert [view.engine for view in known.voice_engines(is_own=False)] == ["builtin"]


@pytest.mark.parametrize("name", ["", "Auto", "auto", "a b", "x" * 40])
def test_a_name_that_cannot_be_asked_for_is_not_registered(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        SpeechRegistry([TwinSpeechEngine(name)])
    with pytest.raises(ValueError, match="already"):
        SpeechRegistry([TwinSpeechEngine("alpha"), TwinSpeechEngine("alpha")])
    with pytest.raises(ValueError, match="at least one"):
        SpeechRegistry([])
