"""What a video took, kept for the next estimate. Runs in the service process.

Only a whole run teaches: not one that went on from finished parts. Waiting for a GPU is not part of it.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.models.errors import ProductError
from backend.models.estimate import RunTime
from backend.storage.run_times import RunTimesRepository
from backend.utils.logger import app_logger


class RunLearning:
    """Writes one row for each video that succeeded."""

    def __init__(self, run_times: RunTimesRepository) -> None:
        self._run_times = run_times

    async def note(
        self, *, engine: str, resolution: str, audio: Path, wall_s: float, ran: Mapping[str, Any]
    ) -> None:
        """`ran`: what the engine said of its run, see `BaseEngineAdapter.process_job`. Never fails the job."""
        if ran.get("parts_reused"):
            return
        try:
            seconds = await asyncio.to_thread(wav_seconds, audio)
            run = RunTime(
                engine=engine,
                model=str(ran.get("model") or ""),
                resolution=resolution,
                gpu=str(ran.get("gpu") or ""),
                speech_ms=round(seconds * 1000),
                wall_ms=round((wall_s - float(ran.get("waited_s") or 0.0)) * 1000),
                peak_vram_mib=round(ran["peak_vram_mib"]) if ran.get("peak_vram_mib") else None,
            )
            await self._run_times.record(run)
        except (ProductError, OSError, EOFError, wave.Error, TypeError, ValueError) as error:
            # The video is there; only the next estimate knows less.
            app_logger.warning("how long this video took could not be noted: %s", error)


def wav_seconds(path: Path) -> float:
    """Length of a WAV."""
    with wave.open(str(path), "rb") as sound:
        return sound.getnframes() / sound.getframerate()
