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
from backend.engines.classify import POLICIES, FailurePolicy
from backend.models.codes import INPUT_CODES, STAGE_ORDER, ErrorCode, StageName, StageState
from backend.models.errors import EngineFailure, JobCancelled, ProductError, StaleAttempt
from backend.models.job import JobCreate
from backend.models.records import AttemptOutcome, Fence, JobView
from backend.services.engine_router import DRAFT_ENGINES, EnginePlan, EngineRouter
from backend.services.executor import RunningJob
from backend.services.job_progress import SPANS, StageProgress
from backend.services.speech_service import SpeechService
from backend.services.stage_runner import DRAFT_NOTICE, STAGE_MESSAGES, StageInput, StageOutput, StageRunner
from backend.services.voice_service import NOT_CLONED_NOTICE, VoiceService
from backend.storage.errors import translate_os
from backend.storage.jobs import JobStore
from backend.utils.clock import Clock
from backend.utils.logger import app_logger, job_context, worker_logger

# Before the same engine is asked again: long enough for a crashed process to be gone.
RETRY_DELAY_MS = 1_000
# A network download is worth a longer pause.
BACKOFF_DELAY_MS = 30_000
# The worker that looks at a portrait in the script stage.
PORTRAIT_ENGINE = "draft"
DISK_FULL_REASON = "The disk is full. Free some space, then resume the queue."


class LocalExecutor:
    """The executor for engines on this machine."""

    def __init__(
        self,
        *,
        store: JobStore,
        stages: StageRunner,
        router: EngineRouter,
        voices: VoiceService,
        clock: Clock,
        work_dir: Path,
    ) -> None:
        self._store = store
        self._stages = stages
        self._router = router
        self._voices = voices
        self._clock = clock
        self._work_dir = work_dir

    async def run(self, running: RunningJob) -> None:
        """See `Executor.run`."""
        fence = running.claimed.fence
        with job_context(fence.job_id):
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
                await self._handle_failure(fence, stage, error)
                return
            except StaleAttempt:
                raise
            except JobCancelled as error:
                if running.cancel.is_set():
                    raise
                app_logger.exception("stage %s says that it was cancelled, but nobody asked for it", stage)
                await self._handle_failure(fence, stage, _unexpected(error))
                return
            except OSError as error:
                app_logger.exception("a file of stage %s could not be used", stage)
                await self._handle_failure(fence, stage, translate_os(error))
                return
            except Exception as error:  # noqa: BLE001 - a foreign adapter may raise anything
                # Whatever broke, the job must still end or move on, and the log must say why.
                app_logger.exception("unexpected error in stage %s", stage)
                await self._handle_failure(fence, stage, _unexpected(error))
                return
            view = await self._store.get_view(fence.job_id)

    def _is_installed(self, engine: str) -> bool:
        adapter = self._router.adapter(engine)
        return adapter is not None and adapter.readiness().is_installed

    async def _is_engine_missing(self, view: JobView, request: JobCreate, fence: Fence) -> bool:
        """An engine that is not installed hops at once: no speech is made for nothing."""
        if view.stage(StageName.VIDEO).state is StageState.COMPLETED:
            return False
        adapter = self._router.adapter(view.job.selected_engine)
        readiness = adapter.readiness() if adapter else None
        if readiness is not None and readiness.is_installed:
            return False
        reason = (readiness.reason if readiness else None) or (
            f"The engine {view.job.selected_engine} is no longer registered."
        )
        await self._store.begin_attempt(fence, StageName.VIDEO, view.job.selected_engine)
        failure = EngineFailure(
            ErrorCode.ENGINE_NOT_INSTALLED, reason, hint=readiness.fix if readiness else None
        )
        await self._handle_failure(fence, StageName.VIDEO, failure, outcome=AttemptOutcome.SKIPPED)
        return True

    async def _run_stage(
        self, running: RunningJob, view: JobView, request: JobCreate, stage: StageName
    ) -> None:
        fence = running.claimed.fence
        await self._store.begin_stage(fence, stage, message=STAGE_MESSAGES[stage])
        engine = self._engine_of(view, stage)
        if engine is not None:
            await self._store.begin_attempt(fence, stage, engine)
        work_dir = self._job_dir(fence) / f"{stage}-{fence.attempt}"
        await asyncio.to_thread(_fresh_dir, work_dir)
        progress = self._progress(fence, view, stage)
        given = StageInput(view, request, fence.attempt, work_dir, progress.report, running.cancel.is_set)
        async with self._warming(view, stage):
            output = await self._dispatch(stage, view, given)
        await progress.settle()
        if running.cancel.is_set():
            raise JobCancelled
        if stage is StageName.FINISH:
            await self._succeed(fence, view, request, output)
        else:
            await self._store.complete_stage(fence, stage, artifacts=output.files, percent=SPANS[stage][1])

    async def _dispatch(self, stage: StageName, view: JobView, given: StageInput) -> StageOutput:
        if stage is StageName.SCRIPT:
            return await self._stages.script(given)
        if stage is StageName.SPEECH:
            return await self._stages.speech(given)
        if stage is StageName.FINISH:
            return await self._stages.finish(given)
        adapter = self._router.adapter(view.job.selected_engine)
        if adapter is None:
            raise EngineFailure(
                ErrorCode.ENGINE_NOT_INSTALLED, f"The engine {view.job.selected_engine} is not registered."
            )
        return await self._stages.video(given, adapter)

    @contextlib.asynccontextmanager
    async def _warming(self, view: JobView, stage: StageName) -> AsyncIterator[None]:
        """While the speech is made, the engine that comes next may load its models."""
        adapter = self._router.adapter(view.job.selected_engine)
        if stage is not StageName.SPEECH or adapter is None:
            yield
            return
        warming = asyncio.create_task(_warm(adapter), name=f"warm-{adapter.name}")
        try:
            yield
        finally:
            # Cancelling only stops the waiting: a process that is starting goes on to be ready.
            warming.cancel()
            await asyncio.wait({warming})

    def _engine_of(self, view: JobView, stage: StageName) -> str | None:
        """The engine whose hop a stage opens; script and finish are ours and open none."""
        if stage is StageName.SPEECH:
            return SpeechService.engine
        return view.job.selected_engine if stage is StageName.VIDEO else None

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
        notices = [{"code": "draft", "message": DRAFT_NOTICE}] if is_draft else []
        if self._voices.is_own(request.voice_id):
            notices.append({"code": "voice_not_cloned", "message": NOT_CLONED_NOTICE})
        warnings = (output.detail or {}).get("warnings", ())
        notices += [{"code": "warning", "message": text} for text in warnings]
        job = await self._store.succeed(
            fence,
            result=result,
            result_name=result_name,
            artifacts=tuple(others),
            draft=is_draft,
            notice={"items": notices} if notices else None,
            message="The video is ready.",
        )
        app_logger.info("%s with engine %s", job.state, job.selected_engine)

    async def _handle_failure(
        self,
        fence: Fence,
        stage: StageName,
        error: ProductError,
        *,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
    ) -> None:
        """One row of the failure table: the same engine again, the next one, or the end."""
        view = await self._store.get_view(fence.job_id)
        job = view.job
        exit_code = error.exit_code if isinstance(error, EngineFailure) else None
        tail = error.log_tail if isinstance(error, EngineFailure) else ""
        worker_logger.warning(
            "stage %s, engine %s: %s: %s%s",
            stage,
            self._engine_of(view, stage) or "none",
            error.code,
            error.detail,
            f"\n{tail}" if tail else "",
        )
        policy = POLICIES.get(error.code, FailurePolicy.NEVER)
        if policy is FailurePolicy.PAUSE_QUEUE:
            # Not the engine's fault: another one would meet the same disk. Nothing more is started. What
            # the stage had written goes first: the database needs room for these very lines.
            await asyncio.to_thread(shutil.rmtree, self._job_dir(fence), ignore_errors=True)
            await self._store.pause(DISK_FULL_REASON)
            await self._store.fail(
                fence, error.code, error.detail, hint=error.hint, outcome=outcome, exit_code=exit_code
            )
            app_logger.error("failed: %s; the queue is paused", error.code)
            return
        engine = _engine_asked(view, stage)
        if error.code not in INPUT_CODES and policy.retries and not _was_retried(view, stage, engine):
            if all(hop.outcome is not None for hop in view.attempts):
                # A stage of ours opens no hop; without its row each failure would look like the first.
                await self._store.begin_attempt(fence, stage, engine)
            backoff = policy is FailurePolicy.BACKOFF
            await self._store.retry_later(
                fence,
                run_after_ms=self._clock.now_ms() + (BACKOFF_DELAY_MS if backoff else RETRY_DELAY_MS),
                message=f"{error.detail} Trying once more.",
                error_code=error.code,
                error_message=error.detail,
                exit_code=exit_code,
            )
            return
        successor = EnginePlan(job.engine_plan).after(job.selected_engine)
        may_follow = stage is StageName.VIDEO or (
            stage is StageName.FINISH and error.code is ErrorCode.NO_OUTPUT
        )
        if successor is not None and may_follow and error.code not in INPUT_CODES:
            failed, following = self._router.title(job.selected_engine), self._router.title(successor)
            # An engine that is not there is asked for the record and takes nothing over.
            what = "takes over" if self._is_installed(successor) else "is asked next"
            await self._store.fall_back(
                fence,
                successor,
                reason=f"{failed}: {error.detail} {following} {what}.",
                error_code=error.code,
                error_message=error.detail,
                outcome=outcome,
                exit_code=exit_code,
                redo=(StageName.VIDEO,) if stage is StageName.FINISH else (),
            )
            return
        await self._store.fail(
            fence, error.code, error.detail, hint=error.hint, outcome=outcome, exit_code=exit_code
        )
        app_logger.info("failed: %s", error.code)


async def _warm(adapter: BaseEngineAdapter) -> None:
    try:
        await adapter.warm()
    except ProductError as error:
        app_logger.info("%s could not be warmed: %s", adapter.name, error.detail)
    except Exception:  # noqa: BLE001 - a foreign adapter may raise anything; the job itself decides
        app_logger.exception("%s could not be warmed", adapter.name)


def _engine_asked(view: JobView, stage: StageName) -> str:
    """Whose failure this is in the rows of the job."""
    if stage is StageName.SPEECH:
        return SpeechService.engine
    return PORTRAIT_ENGINE if stage is StageName.SCRIPT else view.job.selected_engine


def _was_retried(view: JobView, stage: StageName, engine: str) -> bool:
    """Whether this engine has already failed at this stage of this job before the hop that is open now."""
    return any(
        hop.stage is stage and hop.engine == engine and hop.outcome is AttemptOutcome.FAILED
        for hop in view.attempts
    )


def _unexpected(error: BaseException) -> EngineFailure:
    return EngineFailure(
        ErrorCode.INTERNAL_ERROR,
        f"Something unexpected went wrong ({type(error).__name__}).",
        hint="The details are in logs/app.log.",
    )


def _fresh_dir(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
