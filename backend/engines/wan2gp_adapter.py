"""Wan2GP (upstream, driven through its API in its own environment). Service process side.

Flow: a job -> the model it gets -> one task of the worker `wan2gp` on one GPU -> the picture at `output_path`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.engines.base import READY, BaseEngineAdapter, EngineModel, Readiness
from backend.engines.diffusers_text import TASK as TEXT_TASK
from backend.engines.diffusers_text import DiffusersText, learned_as, made_by
from backend.engines.video_task import media_inputs, require_ready, resting, task_folder, video_of, what_ran
from backend.engines.wan2gp_home import environment_readiness
from backend.engines.wan2gp_models import Wan2GPModel, Wan2GPModels
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import TaskRequest
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.wan2gp_runner import run_native_wan2gp_job

# Folder of the attempt in which the worker writes; its preview.jpg is shown while the job runs.
TASK_FOLDER = "wan2gp"
TITLE = "Wan2GP"


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
    title = TITLE
    keeps_deadline = True

    def __init__(
        self,
        worker: EngineWorker,
        *,
        core_dir: Path,
        models: Wan2GPModels,
        has_weights: Callable[[str], bool],
        largest_gpu_mib: Callable[[], int | None],
        text: DiffusersText,
    ) -> None:
        """`has_weights` looks whether an entry of the catalogue is here, whole and checked, False for one that is not
        in the catalogue; `largest_gpu_mib` tells the memory of the largest card, None when unknown. Both are quick.
        `text` takes the models that text drives where Wan2GP is not installed."""
        self._worker = worker
        self._core_dir = core_dir
        self._models = models
        self._has_weights = has_weights
        self._largest_gpu_mib = largest_gpu_mib
        self._text = text
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
        look = (
            "Look at logs/worker.log for the cause; it is tried again by itself. If a package is missing, run "
            "install_wan2gp.bat (Windows) or install_wan2gp.sh (Linux) again."
        )
        return resting(self._worker, TITLE, look) or READY

    def readiness_for(self, settings: Mapping[str, Any]) -> Readiness:
        named = settings.get("wangp_model")
        if named is not None and self.runs_elsewhere(named):
            return self._text.readiness(named)
        return self.readiness()

    def runs_elsewhere(self, model: str | None) -> bool:
        """Whether this model of the request would run through diffusers, because Wan2GP is not installed."""
        return self._text.can_take(model) and not environment_readiness(self._core_dir).is_ready

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
                missing=self._text.missing(model.name)
                if self.runs_elsewhere(model.name)
                else tuple(model_id for model_id in model.catalogue if not look(model_id)),
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
            return self._model(settings).rungs
        except EngineFailure:
            return ()  # process_job says the same, and there it counts

    def _model(self, settings: Mapping[str, Any]) -> Wan2GPModel:
        """As `choose`, also for a model that runs elsewhere: there, its weights are others."""
        named = settings.get("wangp_model")
        if named is None or settings.get("speakers") or not self.runs_elsewhere(named):
            return self.choose(settings)
        return self._models.get(named) or self.choose(settings)

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        settings = kwargs["settings"]
        require_ready(await asyncio.to_thread(self.readiness_for, settings), TITLE)
        model = await asyncio.to_thread(self._model, settings)
        is_elsewhere = await asyncio.to_thread(self.runs_elsewhere, settings.get("wangp_model"))
        task_dir = await task_folder(settings, TASK_FOLDER)
        request = _request(job_id, script_text, model, task_dir, kwargs)
        if is_elsewhere:
            kwargs["report"](None, f"{model.name} through diffusers, in InfiniteTalk's environment")
            request = replace(request, task=TEXT_TASK)
            result, video = await video_of(self._text.worker.run, request, kwargs, model.name)
            ran = {**what_ran(learned_as(model.name), result), "made_by": made_by(model.name)}
        else:
            run = functools.partial(run_native_wan2gp_job, self._worker)
            result, video = await video_of(run, request, kwargs, TITLE)
            ran = what_ran(model.name, result)
        await asyncio.to_thread(video.path.replace, kwargs["output_path"])
        settings.get("ran", {}).update(ran)
        return f"/api/jobs/{job_id}/result"


def _request(
    job_id: str, script_text: str, model: Wan2GPModel, task_dir: Path, given: Mapping[str, Any]
) -> TaskRequest:
    settings = given["settings"]
    return TaskRequest(
        job_id=job_id,
        attempt=settings["attempt"],
        task="talking_avatar",
        inputs=media_inputs(given),
        params={
            "model": model.name,
            "resolution": settings["resolution"],
            "aspect": settings["aspect"],
            "prompt": settings["prompt"],
            "script": script_text,
            "speakers": [{"face": speaker["face"]} for speaker in settings.get("speakers") or ()],
            "face": settings.get("face"),
            "rung": settings["rung"],
            "checkpoint_dir": str(settings["checkpoint_dir"]),
        },
        output_dir=task_dir,
        seed=settings["seed"],
        deadline_s=settings["deadline_s"],
        # A small card takes hours for what a large one does in minutes.
        deadline_moves=True,
        model=model.name,
        min_vram_mib=model.min_vram_mib,
    )
