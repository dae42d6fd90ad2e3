"""A third-party engine that truly makes a video, and fails as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.engines.base import BaseEngineAdapter
from backend.models.errors import JobCancelled
from tests.support.twin_worker import wav_seconds, write_video


class RungedEngine(BaseEngineAdapter):
    """Leaves a part in its checkpoint folder before each failure, and while it is held by its closed `gate`.

    `found`: what lay there at each call. `asked` is set once a part lies there.
    """

    def __init__(self, name: str, failures: list[Exception], rungs: tuple[str, ...] = ()) -> None:
        self._name = name
        self._failures = failures
        self._rungs = rungs
        self.seen: list[Mapping[str, Any]] = []
        self.found: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.warmed = 0

    @property
    def name(self) -> str:
        return self._name

    async def warm(self) -> None:
        self.warmed += 1

    def rungs(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self._rungs

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        settings = kwargs["settings"]
        folder: Path = settings["checkpoint_dir"]
        self.seen.append(settings)
        self.found.append(sorted(path.name for path in folder.iterdir()))
        if self._failures or not self.gate.is_set():
            (folder / f"part-{len(self.seen)}").write_bytes(b"x" * 1000)
            self.asked.set()
        while not self.gate.is_set():
            if kwargs["cancelled"]():
                raise JobCancelled
            await asyncio.sleep(0.01)
        if self._failures:
            raise self._failures.pop(0)
        write_video(kwargs["output_path"], wav_seconds(kwargs["audio_path"]))
        return ""
