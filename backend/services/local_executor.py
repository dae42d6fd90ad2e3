"""Works a claimed job off on this machine: stages in order, failures by the failure table. Service process.

In: a claimed job. Out: rows in the store. A stage that is completed is never repeated; a failed engine is
retried, followed by the next of its plan, or ends the job, and each hop leaves its row and its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from backend.engines.base import BaseEngineAdapter
from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, StageName, StageState
from backend.models.errors import EngineFailure, JobCancelled, ProductError, StaleAttempt, unexpected
from backend.models.job import JobCreate
from backend.models.records import AttemptOutcome, Fence, JobView
from backend.services.engine_router import DRAFT_ENGINES, EngineRouter
from backend.services.executor import RunningJob
from backend.services.failure_desk import FailureDesk
from backend.services.job_notices import notices
from backend.services.job_preview import attempt_dir
from backend.services.job_progress import SPANS, StageProgress
from backend.services.ladder import ladder_of, request_settings
from backend.services.quiet import QuietTimes
from backend.services.speech_router import SpeechRouter
from backend.services.stage_io import WRITTEN, StageInput, StageOutput
from backend.services.stage_runner import STAGE_MESSAGES, StageRunner, made_by
from backend.services.voice_service import VoiceService
from backend.storage.checkpoints import Checkpoints
from backend.storage.errors import translate_os
from backend.storage.jobs import JobStore
from backend.utils.clock import Clock
from backend.utils.logger import app_logger, job_context


class LocalExecutor:
    """The executor for engines on this machine."""

    def __init__(
        self,
        *,
        store: JobStore,
        stages: StageRunner,
        router: EngineRouter,
        speech_router: SpeechRouter,
        voices: VoiceService,
        failures: FailureDesk,
        quiet: QuietTimes,
        checkpoints: Checkpoints,
        clock: Clock,
        work_dir: Path,
    ) -> None:
        self._store = store
        self._stages = stages
        self._router = router
        self._speech_router = speech_router
        self._voices = voices
        self._failures = failures
        self._quiet = quiet
        self._checkpoints = checkpoints
        self._clock = clock
        self._work_dir = work_dir

    async def run(self, running: RunningJob) -> None:
        """See `Executor.run`."""
        fence = running.claimed.fence
        with job_context(fence.job_id), self._quiet.busy():
            try:
                try:
                    await self._run_stages(running)
                except JobCancelled:
                    await self._store.finish_cancelled(fence)
                    app_logger.info("cancelled")
            except StaleAttempt:
                app_logger.warning("attempt %d no longer owns the job; nothing was written", fence.attempt)
            finally:
                await asyncio.to_thread(shutil.rmtree, self._job_dir(fence), ignore_errors=True)
                await self._checkpoints.tidy(fence.job_id)

    def _job_dir(self, fence: Fence) -> Path:
        return self._work_dir / fence.job_id

    async def _run_stages(self, running: RunningJob) -> None:
        view = running.claimed.view
        fence = running.claimed.fence
        request = JobCreate.model_validate(dict(view.job.request))
        app_logger.info("attempt %d begins with engine %s", fence.attempt, view.job.selected_engine)
        if await self._is_engine_missing(view, request, fence):
            return
        for stage in STAGE_ORDER:
            if view.stage(stage).state is StageState.COMPLETED:
                continue
            if running.cancel.is_set():
                raise JobCancelled
            try:
                await self._run_stage(running, view, request, stage)
            except ProductError as error:
                if error.temporary:
                    # The database is held by another program: the job did nothing wrong and goes back.
                    raise
                await self._settle(fence, stage, error)
                return
            except StaleAttempt:
                raise
            except JobCancelled as error:
                if running.cancel.is_set():
                    raise
                app_logger.exception("stage %s says that it was cancelled, but nobody asked for it", stage)
                await self._settle(fence, stage, unexpected(error))
                return
            except OSError as error:
                app_logger.exception("a file of stage %s could not be used", stage)
                await self._settle(fence, stage, translate_os(error))
                return
            except Exception as error:  # noqa: BLE001 - a foreign adapter may raise anything
                # Whatever broke, the job must still end or move on, and the log must say why.
                app_logger.exception("unexpected error in stage %s", stage)
                await self._settle(fence, stage, unexpected(error))
                return
            view = await self._store.get_view(fence.job_id)

    async def _settle(
        self,
        fence: Fence,
        stage: StageName,
        error: ProductError,
        *,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
    ) -> None:
        await self._failures.settle(fence, stage, error, job_dir=self._job_dir(fence), outcome=outcome)

    async def _is_engine_missing(self, view: JobView, request: JobCreate, fence: Fence) -> bool:
        """An engine that is not installed hops at once: no speech is made for nothing."""
        if view.stage(StageName.VIDEO).state is StageState.COMPLETED:
            return False
        adapter = self._router.adapter(view.job.selected_engine)
        readiness = adapter.readiness_for(request_settings(request)) if adapter else None
        if readiness is not None and readiness.is_installed:
            return False
        reason = (readiness.reason if readiness else None) or (
            f"The engine {view.job.selected_engine} is no longer registered."
        )
        await self._store.begin_attempt(fence, StageName.VIDEO, view.job.selected_engine)
        code = (readiness.code if readiness else None) or ErrorCode.ENGINE_NOT_INSTALLED
        failure = EngineFailure(code, reason, hint=readiness.fix if readiness else None)
        await self._settle(fence, StageName.VIDEO, failure, outcome=AttemptOutcome.SKIPPED)
        return True

    async def _run_stage(
        self, running: RunningJob, view: JobView, request: JobCreate, stage: StageName
    ) -> None:
        fence = running.claimed.fence
        await self._store.begin_stage(fence, stage, message=STAGE_MESSAGES[stage])
        engine = await self._engine_of(view, request, stage)
        if engine is not None:
            await self._store.begin_attempt(fence, stage, engine, detail=self._change(view, request, stage))
        work_dir = attempt_dir(self._work_dir, fence.job_id, stage, fence.attempt)
        await asyncio.to_thread(_fresh_dir, work_dir)
        progress = self._progress(fence, view, stage)
        given = StageInput(view, request, fence.attempt, work_dir, progress.report, running.cancel.is_set)
        async with self._warming(view, stage, engine):
            output = await self._dispatch(stage, view, given, engine)
        await progress.settle()
        if running.cancel.is_set():
            raise JobCancelled
        if stage is StageName.FINISH:
            await self._succeed(fence, view, request, output)
        else:
            await self._store.complete_stage(
                fence,
                stage,
                artifacts=output.files,
                percent=SPANS[stage][1],
                searched=(output.detail or {}).get(WRITTEN, ""),
            )

    async def _dispatch(
        self, stage: StageName, view: JobView, given: StageInput, engine: str | None
    ) -> StageOutput:
        if stage is StageName.SCRIPT:
            return await self._stages.script(given)
        if stage is StageName.SPEECH and engine is not None:
            return await self._stages.speech(given, engine)
        if stage is StageName.FINISH:
            return await self._stages.finish(given)
        adapter = self._router.adapter(view.job.selected_engine)
        if adapter is None:
            raise EngineFailure(
                ErrorCode.ENGINE_NOT_INSTALLED, f"The engine {view.job.selected_engine} is not registered."
            )
        return await self._stages.video(given, adapter)

    @contextlib.asynccontextmanager
    async def _warming(self, view: JobView, stage: StageName, engine: str | None) -> AsyncIterator[None]:
        """While the speech is made by `engine`, the one that comes next may load its models."""
        adapter = self._router.adapter(view.job.selected_engine)
        speaker = self._speech_router.engine(engine) if engine is not None else None
        # Beside an engine of speech that needs the GPU, another one would only take it away.
        is_gpu_taken = (
            adapter is not None and adapter.kind == "gpu" and speaker is not None and speaker.uses_gpu
        )
        if stage is not StageName.SPEECH or adapter is None or is_gpu_taken:
            yield
            return
        warming = asyncio.create_task(_warm(adapter), name=f"warm-{adapter.name}")
        try:
            yield
        finally:
            # Cancelling only stops the waiting: a process that is starting goes on to be ready.
            warming.cancel()
            await asyncio.wait({warming})

    async def _engine_of(self, view: JobView, request: JobCreate, stage: StageName) -> str | None:
        """The engine whose hop a stage opens; script and finish are ours and open none."""
        if stage is StageName.SPEECH:
            return (await self._stages.speech_plan(view, request)).now(view.attempts)
        return view.job.selected_engine if stage is StageName.VIDEO else None

    def _change(self, view: JobView, request: JobCreate, stage: StageName) -> str:
        """What this try does with less than was asked for, after one that ran out of memory."""
        adapter = self._router.adapter(view.job.selected_engine) if stage is StageName.VIDEO else None
        return ladder_of(view, request, adapter).change if adapter is not None else ""

    def _progress(self, fence: Fence, view: JobView, stage: StageName) -> StageProgress:
        async def write(percent: float, message: str, eta_s: float | None) -> None:
            try:
                await self._store.report_progress(
                    fence, percent, stage=stage, message=message or None, eta_s=eta_s
                )
            except StaleAttempt:
                app_logger.debug("progress of an attempt that ended meanwhile was dropped")
            except ProductError as error:
                # The next one will be written; what the stage itself writes at its end must be.
                app_logger.warning("progress was not written: %s", error.detail)

        return StageProgress(stage, floor=view.job.progress, clock=self._clock, write=write)

    async def _succeed(self, fence: Fence, view: JobView, request: JobCreate, output: StageOutput) -> None:
        (result_name, result), *others = output.files
        is_draft = view.job.selected_engine in DRAFT_ENGINES
        found = notices(
            view,
            request,
            is_own=any(map(self._voices.is_own, request.voice_ids)),
            router=self._speech_router,
            warnings=(output.detail or {}).get("warnings", ()),
        )
        job = await self._store.succeed(
            fence,
            result=result,
            result_name=result_name,
            artifacts=tuple(others),
            draft=is_draft,
            notice={"items": found} if found else None,
            message=" ".join(("The video is ready.", *made_by(view))),
        )
        if job.state is JobState.SUCCEEDED:
            await self._checkpoints.drop(fence.job_id)
        app_logger.info("%s with engine %s", job.state, job.selected_engine)


async def _warm(adapter: BaseEngineAdapter) -> None:
    try:
        await adapter.warm()
    except ProductError as error:
        app_logger.info("%s could not be warmed: %s", adapter.name, error.detail)
    except Exception:  # noqa: BLE001 - a foreign adapter may raise anything; the job itself decides
        app_logger.exception("%s could not be warmed", adapter.name)


def _fresh_dir(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
