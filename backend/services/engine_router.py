"""Which engines a job may use, in which order. Runs in the service process.

Register a new engine here: add its adapter to the registry in `register_engines`. Its `name` is then a
valid `preferred_engine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backend.engines.base import BaseEngineAdapter, EngineModel, Readiness
from backend.engines.registry import EngineRegistry
from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, RequestError

AUTO = "auto"
# Best first; those that are not installed are left out of an automatic plan.
AUTO_ORDER = ("infinitetalk", "wan2gp", "draft")
# What may follow when an engine is asked for by name. Others stand alone.
NAMED_PLANS = {"infinitetalk": ("infinitetalk", "wan2gp")}
# Engines whose result is a draft and says so.
DRAFT_ENGINES = frozenset({"draft"})


@dataclass(frozen=True)
class EnginePlan:
    """Engines in the order they will be tried, never empty."""

    engines: tuple[str, ...]

    @property
    def first(self) -> str:
        return self.engines[0]

    def after(self, engine: str) -> str | None:
        """The engine that takes over when `engine` fails, or None."""
        if engine not in self.engines:
            return None
        rest = self.engines[self.engines.index(engine) + 1 :]
        return rest[0] if rest else None


@dataclass(frozen=True)
class EngineInfo:
    """One row of `GET /api/engines`."""

    name: str
    title: str
    kind: Literal["gpu", "cpu", "plugin"]
    readiness: Readiness
    disclosure: str | None
    models: tuple[EngineModel, ...] = ()


def register_engines(registry: EngineRegistry, adapters: Iterable[BaseEngineAdapter]) -> None:
    """Put the engines into the registry, best first. Add yours to `adapters` or register it after."""
    for adapter in adapters:
        registry.register(adapter)


class EngineRouter:
    """Plans and readiness over a registry."""

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    def choices(self) -> tuple[str, ...]:
        """Every valid `preferred_engine`."""
        return (AUTO, *self._registry.names())

    def adapter(self, name: str) -> BaseEngineAdapter | None:
        return self._registry.get(name)

    def plan(
        self, preferred: str, *, allow_fallback: bool = True, settings: Mapping[str, Any] | None = None
    ) -> EnginePlan:
        """The plan for a request with these `settings`, see `BaseEngineAdapter.rungs`.

        Raises RequestError for a name nobody registered.
        """
        if preferred == AUTO:
            wanted = settings or {}
            installed = [
                name
                for name in AUTO_ORDER
                if (adapter := self._registry.get(name)) and adapter.readiness_for(wanted).is_installed
            ]
            if not installed:
                raise RequestError(
                    ErrorCode.ENGINE_NOT_INSTALLED,
                    "No engine is installed.",
                    hint="Install one, or name a registered engine.",
                )
            names = tuple(installed)
        elif self._registry.get(preferred) is not None:
            names = NAMED_PLANS.get(preferred, (preferred,))
        else:
            known = ", ".join(self.choices())
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                f"There is no engine of that name. Known: {known}.",
                hint="Use one of the names in GET /api/engines.",
                fields=(FieldError("preferred_engine", f"must be one of: {known}"),),
            )
        return EnginePlan(names if allow_fallback else names[:1])

    def title(self, name: str) -> str:
        """The engine's name for people."""
        adapter = self._registry.get(name)
        return (adapter.title if adapter else None) or name

    def engines(self) -> list[EngineInfo]:
        return [
            EngineInfo(a.name, a.title or a.name, a.kind, a.readiness(), a.disclosure, a.models())
            for a in self._registry
        ]
