"""A third-party engine that truly makes a video, and fails as it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.engines.base import BaseEngineAdapter
from tests.support.twin_worker import wav_seconds, write_video


class RungedEngine(BaseEngineAdapter):
    """Leaves a part in its checkpoint folder before each failure. `found`: what lay there at each call."""

    def __init__(self, name: str, failures: list[Exception], rungs: tuple[str, ...] = ()) -> None:
        self._name = name
        self._failures = failures
        self._rungs = rungs
        self.seen: list[Mapping[str, Any]] = []
        self.found: list[list[str]] = []

    @property
    def name(self) -> str:
        return self._name

    def rungs(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self._rungs

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        settings = kwargs["settings"]
        folder: Path = settings["checkpoint_dir"]
        self.seen.append(settings)
        self.found.append(sorted(path.name for path in folder.iterdir()))
        if self._failures:
            (folder / f"part-{len(self.seen)}").write_bytes(b"x" * 1000)
            raise self._failures.pop(0)
        write_video(kwargs["output_path"], wav_seconds(kwargs["audio_path"]))
        return ""
