"""Wan2GP (upstream, driven through its API in its own environment). Service process side.

Flow: a job -> the model it gets -> one task of the worker `wan2gp` on one GPU -> the picture at `output_path`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backend.engines.base import READY, BaseEngineAdapter, EngineModel, Readiness
from backend.engines.wan2gp_home import environment_readiness
from backend.engines.wan2gp_models import Wan2GPModel, Wan2GPModels
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.clock import iso_from_ms
from backend.utils.wan2gp_runner import run_native_wan2gp_job

# Folder of the attempt in which the worker writes; its preview.jpg is shown while the job runs.
TASK_FOLDER = "wan2gp"


def disclosure_of(models: Wan2GPModels) -> str:
    """What a user must be told: whose engine it is, under which terms, and what it must not be used for."""
    return (
        f"Powered by WanGP ({models.upstream.home}), WanGP Community License 2.0: free of charge, and not for "
        "products or services that are paid for. It is not part of All-in-one and is installed separately; the weights "
        "of its models have licences of their own. Acceptable use: no intimate or degrading pictures of anyone "
        "without consent, no impersonation, fraud or deception; show people only with their permission and say that "
        "the video was made by a computer."
    )


class Wan2GPAdapter(BaseEngineAdapter):
    """`preferred_engine: "wan2gp"`. Drives the `wan2gp` worker's task `talking_avatar`."""

    kind = "gpu"
    title = "Wan2GP"

    def __init__(
        self,
        worker: EngineWorker,
        *,
        core_dir: Path,
        models: Wan2GPModels,
        has_weights: Callable[[str], bool],
        largest_gpu_mib: Callable[[], int | None],
    ) -> None:
        """`has_weights` looks whether an entry of the catalogue is here, whole and checked, False for one that is not
        in the catalogue; `largest_gpu_mib` tells the memory of the largest card, None when unknown. Both are quick."""
        self._worker = worker
        self._core_dir = core_dir
        self._models = models
        self._has_weights = has_weights
        self._largest_gpu_mib = largest_gpu_mib
        self.disclosure = disclosure_of(models)

    @property
    def name(self) -> str:
        return "wan2gp"

    def readiness(self) -> Readiness:
        environment = environment_readiness(self._core_dir)
        if not environment.is_ready:
            return environment
        if not self._models.any_ready(self._has_weights):
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.MODEL_MISSING,
                "Wan2GP is installed, but none of its models is on this computer.",
                "Download one in the page under Models; GET /api/models lists them. "
                "The environment itself needs no second run of install_wan2gp.bat or install_wan2gp.sh.",
            )
        until_ms = self._worker.snapshot().unavailable_until_ms
        if until_ms is not None:
            return Readiness(
                "UNAVAILABLE",
                ErrorCode.ENGINE_UNAVAILABLE,
                f"Wan2GP failed several times in a row and rests until {iso_from_ms(until_ms)}.",
                "Look at logs/worker.log for the cause; it is tried again by itself. If a package is missing, run "
                "install_wan2gp.bat (Windows) or install_wan2gp.sh (Linux) again.",
            )
        return READY

    async def warm(self) -> None:
        if (await asyncio.to_thread(self.readiness)).is_ready:
            await self._worker.warm()

    def models(self) -> tuple[EngineModel, ...]:
        look = functools.cache(self._has_weights)
        return tuple(
            EngineModel(
                name=model.name,
                title=model.title,
                drive=model.drive,
                speakers=2 if model.two_speakers else 1,
                missing=tuple(model_id for model_id in model.catalogue if not look(model_id)),
                min_vram_mib=model.min_vram_mib,
                licence=model.licence,
                licence_url=model.licence_url,
            )
            for model in self._models.all
        )

    def choose(self, settings: Mapping[str, Any]) -> Wan2GPModel:
        """The model that a job with these settings gets. Raises EngineFailure."""
        return self._models.choose(
            settings.get("wangp_model"),
            speakers=len(settings.get("speakers") or ()) or 1,
            resolution=str(settings["resolution"]),
            has_weights=self._has_weights,
            largest_mib=self._largest_gpu_mib(),
        )

    def rungs(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            return self.choose(settings).rungs
        except EngineFailure:
            return ()  # process_job says the same, and there it counts

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        readiness = await asyncio.to_thread(self.readiness)
        if not readiness.is_ready:
            code = readiness.code or ErrorCode.ENGINE_UNAVAILABLE
            raise EngineFailure(code, readiness.reason or "Wan2GP is not available.", hint=readiness.fix)
        settings, report = kwargs["settings"], kwargs["report"]
        output_path: Path = kwargs["output_path"]
        model = await asyncio.to_thread(self.choose, settings)
        task_dir: Path = settings["work_dir"] / TASK_FOLDER
        await asyncio.to_thread(task_dir.mkdir, parents=True, exist_ok=True)

        def forward(update: ProgressUpdate) -> None:
            report(update.fraction, update.message)

        result = await run_native_wan2gp_job(
            self._worker,
            _request(job_id, script_text, model, task_dir, kwargs),
            report=forward,
            cancelled=kwargs["cancelled"],
        )
        video = next((artifact for artifact in result.artifacts if artifact.role == "video"), None)
        if video is None:
            raise EngineFailure(
                ErrorCode.NO_OUTPUT,
                "Wan2GP ended without a video.",
                hint="Try again; logs/worker.log has what it printed.",
            )
        await asyncio.to_thread(video.path.replace, output_path)
        settings.get("ran", {}).update(_what_ran(model, result))
        return f"/api/jobs/{job_id}/result"


def _request(
    job_id: str, script_text: str, model: Wan2GPModel, task_dir: Path, given: Mapping[str, Any]
) -> TaskRequest:
    settings = given["settings"]
    speakers = tuple(settings.get("speakers") or ())
    inputs: dict[str, Path] = {"portrait": given["avatar_path"], "audio": given["audio_path"]}
    if settings.get("timings_path") is not None:
        inputs["timings"] = settings["timings_path"]
    for number, speaker in enumerate(speakers, start=1):
        inputs[f"track_{number}"] = speaker["track"]
    return TaskRequest(
        job_id=job_id,
        attempt=settings["attempt"],
        task="talking_avatar",
        inputs=inputs,
        params={
            "model": model.name,
            "resolution": settings["resolution"],
            "aspect": settings["aspect"],
            "prompt": settings["prompt"],
            "script": script_text,
            "speakers": [{"face": speaker["face"]} for speaker in speakers],
            "rung": settings["rung"],
            "checkpoint_dir": str(settings["checkpoint_dir"]),
        },
        output_dir=task_dir,
        seed=settings["seed"],
        deadline_s=settings["deadline_s"],
        model=model.name,
        min_vram_mib=model.min_vram_mib,
    )


def _what_ran(model: Wan2GPModel, result: TaskResult) -> dict[str, Any]:
    """For the times that are learned; see `StageRunner.video`."""
    return {
        "model": model.name,
        "gpu": result.metrics.get("gpu", ""),
        "waited_s": result.metrics.get("waited_s", 0.0),
        "peak_vram_mib": result.data.get("peak_vram_mib") or result.metrics.get("peak_vram_mib"),
        "parts_reused": result.data.get("parts_reused", 0),
    }
