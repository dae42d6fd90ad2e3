"""Which speech engines may speak, in which order, and how far a job has got with them. Service process.

In: what the caller asked for, the kind of voice, the language and the job's hops. Out: a plan and the engine
that is to be tried now. Where a job stands is read from its hops and nothing else, so a crash loses nothing.

Register a new engine in `backend/services/speech_engines.py`. Its `name` is then a valid `speech_engine`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from backend.engines.base import Readiness
from backend.engines.classify import POLICIES, FailurePolicy
from backend.engines.speech.base import BaseSpeechEngine
from backend.engines.speech.builtin import BUILTIN
from backend.engines.speech.registry import SpeechRegistry
from backend.models.codes import ErrorCode, StageName
from backend.models.errors import EngineFailure, FieldError, RequestError
from backend.models.library import SpeechEngineView, VoiceEngineView
from backend.models.records import AttemptOutcome, AttemptRecord
from backend.services.engine_router import AUTO

# What the built-in engine makes of somebody's own voice. Never "clone".
MATCH_TITLES = ("Voice match (approximate)", "近似音色")
_BAD = frozenset({AttemptOutcome.FAILED, AttemptOutcome.SKIPPED})


@dataclass(frozen=True)
class SpeechPlan:
    """Engines in the order they will be tried, never empty; `language` is what is to be spoken."""

    engines: tuple[str, ...]
    language: str

    def now(self, hops: Sequence[AttemptRecord]) -> str:
        """The engine whose turn it is after these hops of the job. Never goes back to one that was passed."""
        return self._left(hops)[0]

    def after(self, engine: str) -> str | None:
        """The engine that takes over when `engine` fails, or None."""
        if engine not in self.engines:
            return None
        rest = self.engines[self.engines.index(engine) + 1 :]
        return rest[0] if rest else None

    def _left(self, hops: Sequence[AttemptRecord]) -> tuple[str, ...]:
        spoken = [hop for hop in hops if hop.stage is StageName.SPEECH]
        reached = [self.engines.index(hop.engine) for hop in spoken if hop.engine in self.engines]
        rest = self.engines[max(reached, default=0) :]
        # The last one is asked again rather than nobody: the failure table ends the job, not this plan.
        return tuple(name for name in rest if not _is_spent(name, spoken)) or self.engines[-1:]


def _is_spent(engine: str, hops: Sequence[AttemptRecord]) -> bool:
    """Whether the failure table would not ask this engine again."""
    bad = [hop for hop in hops if hop.engine == engine and hop.outcome in _BAD]
    if not bad:
        return False
    last = bad[-1]
    policy = POLICIES.get(last.error_code, FailurePolicy.NEVER) if last.error_code else FailurePolicy.NEVER
    return last.outcome is AttemptOutcome.SKIPPED or not policy.retries or len(bad) > 1


class SpeechRouter:
    """Plans and readiness over a registry."""

    def __init__(self, registry: SpeechRegistry) -> None:
        self._registry = registry

    def choices(self) -> tuple[str, ...]:
        """Every valid `speech_engine`."""
        return (AUTO, *self._registry.names())

    def engine(self, name: str) -> BaseSpeechEngine | None:
        return self._registry.get(name)

    def check(self, preferred: str) -> None:
        """Raise RequestError for a name nobody registered."""
        if preferred not in self.choices():
            known = ", ".join(self.choices())
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                f"There is no speech engine of that name. Known: {known}.",
                hint="Use one of the names in GET /api/speech/engines.",
                fields=(FieldError("speech_engine", f"must be one of: {known}"),),
            )

    def plan(self, preferred: str, *, is_own: bool, language: str, allow_fallback: bool = True) -> SpeechPlan:
        """The plan for one text. `is_own`: somebody's own voice; `language`: zh, en or ja.

        A built-in voice is spoken by the built-in engine whatever was asked for. An engine that was asked for by
        name comes first even when it is not installed, so that its absence is told and not passed over.
        """
        if not is_own:
            return SpeechPlan((BUILTIN,), language)
        able = [
            engine.name
            for engine in self._registry
            if engine.readiness().is_installed and language in engine.languages
        ]
        names = able if preferred == AUTO else [preferred, *(name for name in able if name != preferred)]
        if preferred == BUILTIN:
            # Who asks for the match does not want to wait for a clone instead.
            names = [BUILTIN]
        engines = tuple(names) or (BUILTIN,)
        return SpeechPlan(engines if allow_fallback else engines[:1], language)

    def able(self, name: str, language: str) -> BaseSpeechEngine:
        """The engine, if it could speak this language here. Raises EngineFailure with the reason."""
        engine = self._registry.get(name)
        if engine is None:
            raise EngineFailure(
                ErrorCode.ENGINE_NOT_INSTALLED, f"The speech engine {name} is no longer registered."
            )
        readiness = engine.readiness()
        if not readiness.is_installed:
            raise EngineFailure(
                readiness.code or ErrorCode.ENGINE_NOT_INSTALLED,
                readiness.reason or f"The speech engine {engine.title_en} is not installed.",
                hint=readiness.fix,
            )
        if language not in engine.languages:
            raise EngineFailure(
                ErrorCode.ENGINE_UNAVAILABLE,
                f"The speech engine {engine.title_en} does not speak this language ({language}).",
                hint="Choose another speech engine.",
            )
        return engine

    def title(self, name: str, *, is_own: bool = False) -> str:
        """What people call it."""
        if is_own and name == BUILTIN:
            return MATCH_TITLES[0]
        engine = self._registry.get(name)
        return engine.title_en if engine else name

    def is_clone(self, name: str) -> bool:
        """Whether this engine clones voices; False for one that is not registered."""
        engine = self._registry.get(name)
        return engine is not None and engine.is_clone

    def is_installed(self, name: str) -> bool:
        engine = self._registry.get(name)
        return engine is not None and engine.readiness().is_installed

    # -- for callers -------------------------------------------------------------------------------
    async def views(self) -> list[SpeechEngineView]:
        """Every engine as `GET /api/speech/engines` tells it; looks at the disk, so on a thread."""
        return await asyncio.to_thread(
            lambda: [_view(engine, engine.readiness()) for engine in self._registry]
        )

    def voice_engines(self, *, is_own: bool) -> list[VoiceEngineView]:
        """Who could speak in a voice, best first; engines that could be installed are among them."""
        return [
            VoiceEngineView(
                engine=engine.name,
                label_en=MATCH_TITLES[0] if is_own and engine.name == BUILTIN else engine.title_en,
                label_zh=MATCH_TITLES[1] if is_own and engine.name == BUILTIN else engine.title_zh,
                is_clone=engine.is_clone,
                ready=engine.readiness().is_ready,
            )
            for engine in self._registry
            if is_own or engine.name == BUILTIN
        ]

    def first_ready(self, *, is_own: bool, language: str | None = None) -> str:
        """The engine that would speak in such a voice now."""
        for engine in self._registry:
            speaks = language is None or language in engine.languages
            if (is_own or engine.name == BUILTIN) and speaks and engine.readiness().is_ready:
                return engine.name
        return BUILTIN

    def installable_clones(self) -> list[str]:
        """Titles of engines that would clone and are not installed."""
        return [
            engine.title_en
            for engine in self._registry
            if engine.is_clone and not engine.readiness().is_installed
        ]


def _view(engine: BaseSpeechEngine, readiness: Readiness) -> SpeechEngineView:
    return SpeechEngineView(
        name=engine.name,
        title_en=engine.title_en,
        title_zh=engine.title_zh,
        is_clone=engine.is_clone,
        languages=sorted(engine.languages),
        licence=engine.licence,
        ready=readiness.is_ready,
        state=readiness.state,
        code=readiness.code,
        reason=readiness.reason,
        fix=readiness.fix,
        disclosure=engine.disclosure,
    )
