"""The speech engines this service knows, by name, in the order in which they are tried. Service process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from backend.engines.registry import RESERVED_NAMES
from backend.engines.speech.base import BaseSpeechEngine

_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")


class SpeechRegistry:
    """Engines, best first."""

    def __init__(self, engines: Iterable[BaseSpeechEngine]) -> None:
        """Raises ValueError for a name that is malformed, reserved or taken, and when there is no engine."""
        self._engines: dict[str, BaseSpeechEngine] = {}
        for engine in engines:
            if not _NAME.fullmatch(engine.name) or engine.name in RESERVED_NAMES:
                raise ValueError(f"{engine.name!r} cannot name an engine: use 2 to 32 of a-z, 0-9 and _")
            if engine.name in self._engines:
                raise ValueError(f"a speech engine named {engine.name!r} is registered already")
            self._engines[engine.name] = engine
        if not self._engines:
            raise ValueError("at least one speech engine is needed")

    def get(self, name: str) -> BaseSpeechEngine | None:
        return self._engines.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._engines)

    def __iter__(self) -> Iterator[BaseSpeechEngine]:
        return iter(self._engines.values())
