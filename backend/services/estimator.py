"""What a job would take, before it is made: whether it fits, memory, disk, minutes. Runs in the service process.

In: the request of a job. Out: a verdict about the engine that would be asked first. Minutes and memory come from past
runs on this machine when there are any, else from a table that came with the program, and the answer says which.
Nothing is stored, no engine is started.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Protocol

from backend.engines.base import BaseEngineAdapter, Readiness
from backend.engines.diffusers_text import CATALOGUE as DIFFUSERS_CATALOGUE
from backend.engines.diffusers_text import learned_as
from backend.engines.infinitetalk_models import MIN_VRAM_MIB, PRESETS, Preset
from backend.engines.infinitetalk_models import missing as missing_weights
from backend.engines.wan2gp_adapter import Wan2GPAdapter
from backend.engines.wan2gp_models import BEST_FIRST, Wan2GPModel, Wan2GPModels
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, RequestError
from backend.models.estimate import EstimateBasis, EstimateReason, JobEstimate, PresetEstimate, RunTime
from backend.models.job import JobCreate
from backend.services.engine_router import EngineRouter
from backend.services.job_service import JobService
from backend.services.ladder import request_settings
from backend.services.model_service import ModelService
from backend.services.model_transfer import RESERVE_BYTES
from backend.services.speech_length import speech_seconds
from backend.services.speech_service import resolve_language
from backend.storage.run_times import RunTimesRepository

WAN2GP = "wan2gp"
INFINITETALK = "infinitetalk"
# Seconds of work for a second of video where nothing is learned yet. The draft engine: docs/draft-engine.md,
# "Figures", rendering and encoder one after the other on two shared cores; 720p has twice the pixels.
TABLE_S_PER_VIDEO_S = {"draft": {"512p": 0.41, "720p": 0.82}}
# What a job leaves on the disk and needs meanwhile, for a second of speech: the sound with its tracks, finished parts,
# the silent video and the result, each at a few Mbit/s. Generous: it only has to warn.
JOB_BYTES_PER_S = 3_000_000
JOB_BYTES = 50_000_000


class Gpu(Protocol):
    """One graphics card at this moment."""

    @property
    def name(self) -> str: ...
    @property
    def total_mib(self) -> int | None: ...
    @property
    def free_mib(self) -> int | None: ...


# All cards; empty without a driver.
GpuLook = Callable[[], Awaitable[Sequence[Gpu]]]


@dataclass
class _Findings:
    """What speaks against the job so far. `unsure`: it may fit and may not."""

    reasons: list[EstimateReason] = field(default_factory=list)
    fails: bool = False
    unsure: bool = False

    def against(self, code: ErrorCode, message: str, *, sure: bool = True) -> None:
        if all(reason.code is not code for reason in self.reasons):
            self.reasons.append(EstimateReason(code=code, message=message))
        self.fails = self.fails or sure
        self.unsure = self.unsure or not sure


@dataclass(frozen=True)
class _Demand:
    """What would run. `learned`: the name under which its times are kept; `table_s_per_s`: None where none is known."""

    wangp_model: str | None = None
    learned: str = ""
    min_vram_mib: int | None = None
    table_s_per_s: float | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pace:
    """How long a second of speech takes, and on what that rests."""

    s_per_s: float | None
    basis: EstimateBasis | None
    runs: tuple[RunTime, ...] = ()


class Estimator:
    """Estimates; owns no state."""

    def __init__(
        self,
        *,
        jobs: JobService,
        router: EngineRouter,
        models: ModelService,
        wan2gp: Wan2GPModels,
        run_times: RunTimesRepository,
        gpus: GpuLook,
        data_dir: Path,
    ) -> None:
        self._jobs = jobs
        self._router = router
        self._models = models
        self._wan2gp = wan2gp
        self._run_times = run_times
        self._gpus = gpus
        self._data_dir = data_dir

    async def estimate(self, request: JobCreate) -> JobEstimate:
        """Raises what making the job would raise."""
        plan = (await self._jobs.prepare(request)).engine_plan
        engine, resolution = plan[0], request.output.resolution
        found = _Findings()
        gpu = _largest(await self._gpus()) if self._needs_gpu(engine) else None
        # Hundreds of small looks at the disk.
        demand = await asyncio.to_thread(self._look, engine, request, gpu, found)
        seconds = _seconds(request)
        pace = await self._pace(engine, demand, resolution, gpu)
        needed_mib = _needed_mib(demand, pace)
        _look_at_memory(gpu, needed_mib, found)
        if self._needs_gpu(engine) and needed_mib is None:
            found.unsure = True
        needed_bytes = (
            JOB_BYTES + round(seconds * JOB_BYTES_PER_S) + await self._models.to_fetch_bytes(demand.missing)
        )
        free_bytes = (await asyncio.to_thread(shutil.disk_usage, self._data_dir)).free
        if free_bytes < needed_bytes + RESERVE_BYTES:
            found.against(
                ErrorCode.DISK_FULL,
                f"The job needs {needed_bytes / 1e9:.1f} GB and {RESERVE_BYTES / 1e9:.1f} GB in reserve; the disk has "
                f"{free_bytes / 1e9:.1f} GB left.",
            )
        return JobEstimate(
            fits=False if found.fails else None if found.unsure else True,
            engine=engine,
            wangp_model=demand.wangp_model,
            preset=request.preset if engine == INFINITETALK else None,
            falls_back_to=plan[1] if len(plan) > 1 else None,
            reasons=found.reasons,
            vram_needed_mib=needed_mib,
            vram_free_mib=gpu.free_mib if gpu else None,
            disk_needed_bytes=needed_bytes,
            disk_free_bytes=free_bytes,
            speech_seconds=seconds,
            minutes=None if pace.s_per_s is None else round(seconds * pace.s_per_s / 60, 2),
            basis=pace.basis,
            runs=len(pace.runs),
            missing_models=list(demand.missing),
            presets=await self._presets(request, gpu, seconds) if engine == INFINITETALK else [],
        )

    def _look(self, engine: str, request: JobCreate, gpu: Gpu | None, found: _Findings) -> _Demand:
        """What would run and what it lacks; what speaks against the engine goes into `found`."""
        if engine == INFINITETALK:
            demand = self._infinitetalk(PRESETS[request.preset], request)
            if demand.missing:
                found.against(
                    ErrorCode.MODEL_MISSING, f"These models are missing: {', '.join(demand.missing)}."
                )
        elif engine == WAN2GP:
            demand = self._wan2gp_demand(request, gpu, found)
        else:
            demand = _Demand(table_s_per_s=TABLE_S_PER_VIDEO_S.get(engine, {}).get(request.output.resolution))
        self._look_at_readiness(engine, request, found)
        return demand

    def _infinitetalk(self, preset: Preset, request: JobCreate) -> _Demand:
        resolution = request.output.resolution
        return _Demand(
            learned=preset.name,
            min_vram_mib=MIN_VRAM_MIB[resolution],
            table_s_per_s=preset.s_per_video_s(resolution),
            missing=missing_weights(preset, max(1, len(request.speakers)), self._is_here),
        )

    async def _presets(self, request: JobCreate, gpu: Gpu | None, seconds: float) -> list[PresetEstimate]:
        found = []
        for preset in PRESETS.values():
            demand = await asyncio.to_thread(self._infinitetalk, preset, request)
            pace = await self._pace(INFINITETALK, demand, request.output.resolution, gpu)
            if pace.s_per_s is None or pace.basis is None:
                continue
            found.append(
                PresetEstimate(
                    preset=preset.name,
                    steps=preset.steps,
                    passes=preset.passes,
                    minutes=round(seconds * pace.s_per_s / 60, 2),
                    basis=pace.basis,
                    runs=len(pace.runs),
                    missing_models=list(demand.missing),
                )
            )
        return found

    def _wan2gp_demand(self, request: JobCreate, gpu: Gpu | None, found: _Findings) -> _Demand:
        resolution = request.output.resolution
        adapter, named = self._router.adapter(WAN2GP), request.wangp_model
        is_elsewhere = isinstance(adapter, Wan2GPAdapter) and adapter.runs_elsewhere(named)
        elsewhere = self._wan2gp.get(named) if named is not None and is_elsewhere else None
        model = elsewhere or self._wan2gp_model(request, gpu, found)
        if model is None:
            return _Demand()
        needed = (
            (DIFFUSERS_CATALOGUE[model.name],)
            if elsewhere
            else model.needs(max(1, len(request.speakers)), resolution)
        )
        return _Demand(
            wangp_model=model.name,
            learned=learned_as(model.name) if elsewhere else model.name,
            min_vram_mib=model.min_vram_mib,
            table_s_per_s=model.table_s_per_video_s.get(resolution),
            missing=tuple(model_id for model_id in needed if not self._is_here(model_id)),
        )

    def _needs_gpu(self, engine: str) -> bool:
        adapter = self._router.adapter(engine)
        return adapter is not None and adapter.kind == "gpu"

    def _wan2gp_model(self, request: JobCreate, gpu: Gpu | None, found: _Findings) -> Wan2GPModel | None:
        """The model that would run; where none can, the one that would be the right one to fetch."""
        speakers, resolution = max(1, len(request.speakers)), request.output.resolution
        try:
            return self._wan2gp.choose(
                request.wangp_model,
                speakers=speakers,
                resolution=resolution,
                has_weights=self._is_here,
                largest_mib=gpu.total_mib if gpu else None,
            )
        except EngineFailure as failure:
            found.against(failure.code, _sentence(failure.detail, failure.hint))
        if request.wangp_model is not None:
            return self._wan2gp.get(request.wangp_model)
        able = (self._wan2gp.get(name) for name in BEST_FIRST)
        return next((model for model in able if model and model.needs(speakers, resolution)), None)

    def _is_here(self, model_id: str) -> bool:
        try:
            return self._models.ready_now(model_id)
        except RequestError:  # the catalogue of this release does not know it
            return False

    def _look_at_readiness(self, engine: str, request: JobCreate, found: _Findings) -> None:
        adapter = self._router.adapter(engine)
        settings = request_settings(request)
        readiness = adapter.readiness_for(settings) if adapter else Readiness("NOT_INSTALLED")
        if readiness.is_ready:
            return
        usual = ErrorCode.ENGINE_UNAVAILABLE if readiness.is_installed else ErrorCode.ENGINE_NOT_INSTALLED
        reason = readiness.reason or f"{_title(adapter, engine)} cannot work now."
        found.against(readiness.code or usual, _sentence(reason, readiness.fix))

    async def _pace(self, engine: str, demand: _Demand, resolution: str, gpu: Gpu | None) -> _Pace:
        runs = await self._run_times.latest(
            engine=engine, model=demand.learned, resolution=resolution, gpu=gpu.name if gpu else ""
        )
        if runs:
            return _Pace(median(run.wall_ms / run.speech_ms for run in runs), "measured", tuple(runs))
        return _Pace(demand.table_s_per_s, None if demand.table_s_per_s is None else "table")


def _seconds(request: JobCreate) -> float:
    """Of the speech: the text's own, or what a text that is still to be written was asked to take."""
    settings = request.voice_settings
    if request.script_mode == "auto":
        return float(request.script_settings.seconds)
    return speech_seconds(
        request.script_input,
        resolve_language(settings.language, request.script_input),
        speed=settings.speed,
        pause_ms=settings.pause_ms,
        speakers=[speaker.name for speaker in request.speakers],
    )


def _largest(gpus: Sequence[Gpu]) -> Gpu | None:
    return max(gpus, key=lambda gpu: (gpu.total_mib or 0, gpu.free_mib or 0), default=None)


def _needed_mib(demand: _Demand, pace: _Pace) -> int | None:
    """The most that a past run here took, else the table's least."""
    peaks = [run.peak_vram_mib for run in pace.runs if run.peak_vram_mib is not None]
    return max(peaks) if peaks else demand.min_vram_mib


def _look_at_memory(gpu: Gpu | None, needed_mib: int | None, found: _Findings) -> None:
    if needed_mib is None:
        return
    if gpu is None or gpu.total_mib is None:
        found.against(
            ErrorCode.GPU_UNSUPPORTED, "The memory of this computer's graphics card is not known.", sure=False
        )
    elif gpu.total_mib < needed_mib:
        found.against(
            ErrorCode.GPU_OOM,
            f"The model needs about {needed_mib} MiB of graphics memory; {gpu.name} has {gpu.total_mib} MiB.",
        )
    elif gpu.free_mib is not None and gpu.free_mib < needed_mib:
        found.against(
            ErrorCode.GPU_OOM,
            f"The model needs about {needed_mib} MiB of graphics memory; {gpu.free_mib} MiB are free now. What this "
            "program holds itself is given back before the job; what others hold is not.",
            sure=False,
        )


def _title(adapter: BaseEngineAdapter | None, engine: str) -> str:
    return (adapter.title if adapter else None) or engine


def _sentence(detail: str, hint: str | None) -> str:
    return f"{detail} {hint}" if hint else detail
