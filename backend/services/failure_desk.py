"""What follows a failed stage: the same engine again, the next one, or the end. Runs in the service process.

In: the failure. Out: rows in the store, by the failure table (`backend/engines/classify.py`). Each hop leaves its
row and its reason; whatever is decided here is read again from those rows after a crash.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from backend.engines.classify import POLICIES, FailurePolicy
from backend.engines.speech.builtin import BUILTIN
from backend.models.codes import INPUT_CODES, ErrorCode, StageName
from backend.models.errors import EngineFailure, ProductError
from backend.models.job import JobCreate
from backend.models.records import AttemptOutcome, Fence, JobView
from backend.services.engine_router import EnginePlan, EngineRouter
from backend.services.job_notices import speech_reason
from backend.services.ladder import Ladder, ladder_of, request_settings
from backend.services.speech_router import SpeechPlan, SpeechRouter
from backend.storage.jobs import JobStore
from backend.utils.clock import Clock
from backend.utils.logger import app_logger, worker_logger

# Before the same engine is asked again: long enough for a crashed process to be gone.
RETRY_DELAY_MS = 1_000
# A network download is worth a longer pause.
BACKOFF_DELAY_MS = 30_000
# The worker that looks at a portrait in the script stage.
PORTRAIT_ENGINE = "draft"
DISK_FULL_REASON = "The disk is full. Free some space, then resume the queue."


@dataclass(frozen=True)
class _Successor:
    """Who follows. `video`: the next engine for the picture, None when only the speech changes hands."""

    video: str | None
    reason: str


class FailureDesk:
    """Settles failures. `speech_plan` tells which engines may speak a job's script."""

    def __init__(
        self,
        *,
        store: JobStore,
        router: EngineRouter,
        speech_router: SpeechRouter,
        speech_plan: Callable[[JobView, JobCreate], Awaitable[SpeechPlan]],
        is_own: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._router = router
        self._speech_router = speech_router
        self._speech_plan = speech_plan
        self._is_own = is_own
        self._clock = clock

    async def settle(
        self,
        fence: Fence,
        stage: StageName,
        error: ProductError,
        *,
        job_dir: Path,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
    ) -> None:
        """One row of the failure table. `job_dir`: what the stage had written, to be given up for space."""
        view = await self._store.get_view(fence.job_id)
        is_open = any(hop.outcome is None for hop in view.attempts)
        asked = _engine_asked(view, stage)
        exit_code = error.exit_code if isinstance(error, EngineFailure) else None
        tail = error.log_tail if isinstance(error, EngineFailure) else ""
        worker_logger.warning(
            "stage %s, engine %s: %s: %s%s",
            stage,
            asked if is_open else "none",
            error.code,
            error.detail,
            f"\n{tail}" if tail else "",
        )
        policy = POLICIES.get(error.code, FailurePolicy.NEVER)
        if policy is FailurePolicy.PAUSE_QUEUE:
            # Not the engine's fault: another one would meet the same disk. Nothing more is started. What
            # the stage had written goes first: the database needs room for these very lines.
            await asyncio.to_thread(shutil.rmtree, job_dir, ignore_errors=True)
            await self._store.pause(DISK_FULL_REASON)
            await self._store.fail(
                fence, error.code, error.detail, hint=error.hint, outcome=outcome, exit_code=exit_code
            )
            app_logger.error("failed: %s; the queue is paused", error.code)
            return
        if stage is StageName.SPEECH and is_open and not self._speech_router.is_installed(asked):
            outcome = AttemptOutcome.SKIPPED  # nothing was started
        ladder = self._ladder(view, stage)
        if ladder is not None and ladder.rungs and error.code is ErrorCode.GPU_OOM:
            # Its steps take the place of the one more try; the bottom is the end of this engine.
            again = f" Trying again with {ladder.next_change}." if ladder.next_change is not None else None
        else:
            # A try that ran out of memory was answered by a step and says nothing about other failures.
            passed = frozenset({ErrorCode.GPU_OOM}) if ladder is not None and ladder.rungs else frozenset()
            is_worth_it = policy.retries and not _was_retried(view, stage, asked, passed)
            again = " Trying once more." if is_worth_it else None
        if error.code not in INPUT_CODES and again is not None:
            if not is_open:
                # A stage of ours opens no hop; without its row each failure would look like the first.
                await self._store.begin_attempt(fence, stage, asked)
            backoff = policy is FailurePolicy.BACKOFF
            await self._store.retry_later(
                fence,
                run_after_ms=self._clock.now_ms() + (BACKOFF_DELAY_MS if backoff else RETRY_DELAY_MS),
                message=f"{error.detail}{again}",
                error_code=error.code,
                error_message=error.detail,
                exit_code=exit_code,
            )
            return
        follower = None if error.code in INPUT_CODES else await self._follower(view, stage, asked, error)
        if follower is not None:
            await self._store.fall_back(
                fence,
                follower.video,
                reason=follower.reason,
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

    def _ladder(self, view: JobView, stage: StageName) -> Ladder | None:
        adapter = self._router.adapter(view.job.selected_engine) if stage is StageName.VIDEO else None
        if adapter is None:
            return None
        return ladder_of(view, JobCreate.model_validate(dict(view.job.request)), adapter)

    async def _follower(
        self, view: JobView, stage: StageName, engine: str, error: ProductError
    ) -> _Successor | None:
        if stage is StageName.SPEECH:
            return await self._next_speaker(view, engine, error)
        if stage is StageName.VIDEO or (stage is StageName.FINISH and error.code is ErrorCode.NO_OUTPUT):
            return self._next_picture(view, error)
        return None

    async def _next_speaker(self, view: JobView, engine: str, error: ProductError) -> _Successor | None:
        request = JobCreate.model_validate(dict(view.job.request))
        following = (await self._speech_plan(view, request)).after(engine)
        if following is None:
            return None
        is_own = any(map(self._is_own, request.voice_ids))
        failed = self._speech_router.title(engine, is_own=is_own)
        successor = self._speech_router.title(following, is_own=is_own)
        return _Successor(None, f"{failed}: {error.detail} {successor} takes over.")

    def _next_picture(self, view: JobView, error: ProductError) -> _Successor | None:
        job = view.job
        following = EnginePlan(job.engine_plan).after(job.selected_engine)
        if following is None:
            return None
        failed, successor = self._router.title(job.selected_engine), self._router.title(following)
        # An engine that is not there is asked for the record and takes nothing over.
        adapter = self._router.adapter(following)
        settings = request_settings(JobCreate.model_validate(dict(job.request)))
        is_installed = adapter is not None and adapter.readiness_for(settings).is_installed
        reason = f"{failed}: {error.detail} {successor} {'takes over' if is_installed else 'is asked next'}."
        # The reason is one for the whole job: neither an engine of an earlier hop nor what the speech fell back from is
        # forgotten.
        if job.fallback_reason and _has_hopped(view, job.selected_engine):
            return _Successor(following, f"{job.fallback_reason} {reason}")
        spoke = next(
            (
                hop.engine
                for hop in view.attempts
                if hop.stage is StageName.SPEECH and hop.outcome is AttemptOutcome.SUCCEEDED
            ),
            None,
        )
        is_own = any(map(self._is_own, JobCreate.model_validate(dict(job.request)).voice_ids))
        before = speech_reason(view, self._speech_router, is_own=is_own, spoke=spoke) if spoke else None
        return _Successor(following, f"{before} {reason}" if before else reason)


def _has_hopped(view: JobView, engine: str) -> bool:
    """Whether another engine was asked for the picture before this one."""
    return any(hop.stage is StageName.VIDEO and hop.engine != engine for hop in view.attempts)


def _engine_asked(view: JobView, stage: StageName) -> str:
    """Whose failure this is in the rows of the job: of the hop that is open, or of a stage that opens none."""
    for hop in view.attempts:
        if hop.outcome is None:
            return hop.engine
    if stage is StageName.SPEECH:
        return BUILTIN
    return PORTRAIT_ENGINE if stage is StageName.SCRIPT else view.job.selected_engine


def _was_retried(view: JobView, stage: StageName, engine: str, passed_over: frozenset[ErrorCode]) -> bool:
    """Whether this engine has already failed at this stage of this job before the hop that is open now."""
    return any(
        hop.stage is stage
        and hop.engine == engine
        and hop.outcome is AttemptOutcome.FAILED
        and hop.error_code not in passed_over
        for hop in view.attempts
    )
