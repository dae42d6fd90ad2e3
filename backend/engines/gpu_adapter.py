"""A GPU engine whose worker is not part of this release: what can be seen of it, and what is said. Service process side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.engines.base import BaseEngineAdapter, Readiness
from backend.engines.environment_probe import environment_python
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure


class GpuEngineAdapter(BaseEngineAdapter):
    """An engine that lives in an environment of its own and is driven through a worker.

    `core_dir` is the engine's folder (`infinitetalk_core`), `handler` the worker's
    handler file. Both are only looked at: what is missing decides the answer.
    """

    kind = "gpu"

    def __init__(self, core_dir: Path, handler: Path) -> None:
        self._core_dir = core_dir
        self._handler = handler

    def readiness(self) -> Readiness:
        if environment_python(self._core_dir) is None:
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.ENGINE_NOT_INSTALLED,
                f"{self.title} is not installed on this machine.",
                "It comes with a later release, and so does its installer; until then choose another engine.",
            )
        if not self._handler.is_file():
            return Readiness(
                "UNAVAILABLE",
                ErrorCode.ENGINE_UNAVAILABLE,
                f"An environment for {self.title} was found, but this release cannot drive it yet.",
                "Choose the draft engine, or update All-in-one.",
            )
        return Readiness(
            "UNAVAILABLE",
            ErrorCode.ENGINE_UNAVAILABLE,
            f"The worker of {self.title} is not wired in this release.",
            "Choose the draft engine, or update All-in-one.",
        )

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        """Say why the engine cannot work. Nothing is ever made up in its place."""
        readiness = self.readiness()
        code = readiness.code or ErrorCode.ENGINE_UNAVAILABLE
        raise EngineFailure(code, readiness.reason or "The engine is not available.", hint=readiness.fix)
