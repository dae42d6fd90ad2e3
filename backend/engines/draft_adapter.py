"""The draft engine: CPU only, works on any PC, says that its result is a draft. Service process side."""

from __future__ import annotations

import asyncio
from typing import Any

from backend.engines.base import READY, BaseEngineAdapter, Readiness
from backend.engines.video_task import media_inputs, resting, task_folder, video_of
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import TaskRequest

# Side of a 1:1 draft, px. Above it the CPU time doubles and the draft looks no better.
SIZES = {"512p": 512, "720p": 720}


class DraftAdapter(BaseEngineAdapter):
    """Drives the `draft` worker's task `talking_avatar`."""

    kind = "cpu"
    title = "Draft (CPU)"
    keeps_deadline = True

    def __init__(self, supervisor: EngineWorker) -> None:
        self._supervisor = supervisor

    @property
    def name(self) -> str:
        return "draft"

    async def warm(self) -> None:
        await self._supervisor.warm()

    def readiness(self) -> Readiness:
        look = "Look at logs/worker.log for the cause; it is tried again by itself."
        return resting(self._supervisor, "The draft engine", look) or READY

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        settings = kwargs["settings"]
        speakers = settings.get("speakers") or ()
        request = TaskRequest(
            job_id=job_id,
            attempt=settings["attempt"],
            task="talking_avatar",
            inputs=media_inputs(kwargs),
            params={
                "size": SIZES[settings["resolution"]],
                "aspect": settings["aspect"],
                "face_index": settings["face_index"],
                "fps": 25,
                **({"speakers": [{"face": who["face"]} for who in speakers]} if speakers else {}),
            },
            output_dir=await task_folder(settings, "draft"),
            seed=settings["seed"],
            deadline_s=settings["deadline_s"],
        )
        result, video = await video_of(self._supervisor.run, request, kwargs, "The draft engine")
        await asyncio.to_thread(video.path.replace, kwargs["output_path"])
        settings.get("ran", {}).update(thumbnail_s=result.data.get("poster_s"))
        return f"/api/jobs/{job_id}/result"
