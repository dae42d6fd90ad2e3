"""The draft engine: CPU only, works on any PC, says that its result is a draft. Service process side."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from backend.engines.base import READY, BaseEngineAdapter, Readiness
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.clock import iso_from_ms

# Side of a 1:1 draft, px. Above it the CPU time doubles and the draft looks no better.
SIZES = {"512p": 512, "720p": 720}


class DraftAdapter(BaseEngineAdapter):
    """Drives the `draft` worker's task `talking_avatar`."""

    kind = "cpu"
    title = "Draft (CPU)"

    def __init__(self, supervisor: EngineWorker) -> None:
        self._supervisor = supervisor

    @property
    def name(self) -> str:
        return "draft"

    async def warm(self) -> None:
        await self._supervisor.warm()

    def readiness(self) -> Readiness:
        until_ms = self._supervisor.snapshot().unavailable_until_ms
        if until_ms is None:
            return READY
        return Readiness(
            "UNAVAILABLE",
            ErrorCode.ENGINE_UNAVAILABLE,
            f"The draft engine failed several times in a row and rests until {iso_from_ms(until_ms)}.",
            "Look at logs/worker.log for the cause; it is tried again by itself.",
        )

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        settings = kwargs["settings"]
        output_path: Path = kwargs["output_path"]
        report = kwargs["report"]
        inputs: dict[str, Path] = {"portrait": kwargs["avatar_path"], "audio": kwargs["audio_path"]}
        if settings.get("timings_path") is not None:
            inputs["timings"] = settings["timings_path"]
        speakers = settings.get("speakers") or ()
        inputs.update({f"track_{place}": who["track"] for place, who in enumerate(speakers, start=1)})
        task_dir: Path = settings["work_dir"] / "draft"
        await asyncio.to_thread(task_dir.mkdir, parents=True, exist_ok=True)

        def forward(update: ProgressUpdate) -> None:
            report(update.fraction, update.message)

        result = await self._supervisor.run(
            TaskRequest(
                job_id=job_id,
                attempt=settings["attempt"],
                task="talking_avatar",
                inputs=inputs,
                params={
                    "size": SIZES[settings["resolution"]],
                    "aspect": settings["aspect"],
                    "face_index": settings["face_index"],
                    "fps": 25,
                    **({"speakers": [{"face": who["face"]} for who in speakers]} if speakers else {}),
                },
                output_dir=task_dir,
                seed=settings["seed"],
                deadline_s=settings["deadline_s"],
            ),
            report=forward,
            cancelled=kwargs["cancelled"],
        )
        video = next((a for a in result.artifacts if a.role == "video"), None)
        if video is None:
            raise EngineFailure(ErrorCode.NO_OUTPUT, "The draft engine ended without a video.")
        await asyncio.to_thread(video.path.replace, output_path)
        return f"/api/jobs/{job_id}/result"
