"""The engines this service knows, by name. Runs in the service process."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backend.engines.base import BaseEngineAdapter

# `auto` chooses among engines and can therefore not be one.
RESERVED_NAMES = frozenset({"auto"})
_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")


class EngineRegistry:
    """Adapters in the order they were registered."""

    def __init__(self) -> None:
        self._adapters: dict[str, BaseEngineAdapter] = {}

    def register(self, adapter: BaseEngineAdapter) -> None:
        """Add an engine. Raises ValueError for a name that is taken, reserved or malformed."""
        name = adapter.name
        if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
            raise ValueError(f"{name!r} cannot name an engine: use 2 to 32 of a-z, 0-9 and _")
        if name in self._adapters:
            raise ValueError(f"an engine named {name!r} is registered already")
        self._adapters[name] = adapter

    def get(self, name: str) -> BaseEngineAdapter | None:
        return self._adapters.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._adapters)

    def __iter__(self) -> Iterator[BaseEngineAdapter]:
        return iter(self._adapters.values())
