"""Keeps one engine's worker: starts it when needed, gives it one task at a time, replaces it. Service process.

Tasks flow in through `run`, results and `EngineFailure`s flow out. A worker stays warm between tasks, is
shut down when idle for long, and is replaced when poisoned, worn or dead. `start` spawns nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from backend.engines.classify import CLOSING
from backend.engines.failure_text import text_for
from backend.engines.restart_policy import RestartPolicy
from backend.engines.worker_session import WorkerSession
from backend.engines.worker_types import (
    ProgressUpdate,
    TaskRequest,
    TaskResult,
    WorkerArtifact,
    WorkerLimits,
    WorkerObserver,
    WorkerSnapshot,
    WorkerSpec,
)
from backend.models.codes import INPUT_CODES, ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import Clock

__all__ = [
    "ProgressUpdate",
    "TaskRequest",
    "TaskResult",
    "WorkerArtifact",
    "WorkerLimits",
    "WorkerObserver",
    "WorkerSnapshot",
    "WorkerSpec",
    "WorkerSupervisor",
]

# How long a worker may take to say goodbye. With the ladder's last rungs a stop stays below 10 s.
STOP_GRACE_S = 3.0


def _never() -> bool:
    return False


class WorkerSupervisor:
    """One engine's worker. All methods are for one event loop."""

    def __init__(
        self,
        spec: WorkerSpec,
        *,
        log: logging.Logger,
        clock: Clock,
        observer: WorkerObserver | None = None,
    ) -> None:
        self._spec = spec
        self._log = log
        self._clock = clock
        self._observer = observer
        self._policy = RestartPolicy(clock)
        self._session: WorkerSession | None = None
        self._turn: asyncio.Lock | None = None
        self._starting: asyncio.Task[WorkerSession] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._idle_watch: asyncio.Task[None] | None = None
        self._spawns = 0
        self._tasks_done = 0
        self._last_error: str | None = None
        self._last_sentence = ""

    # --- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Be ready to run tasks. Spawns nothing. Idempotent."""
        if self._turn is None:
            self._turn = asyncio.Lock()
            self._idle_watch = asyncio.create_task(self._watch_idle(), name=f"idle-{self._spec.name}")

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the worker, whatever it does; a running task fails with `worker_lost`. Idempotent."""
        self._turn = None
        if self._idle_watch is not None:
            self._idle_watch.cancel()
            await asyncio.wait({self._idle_watch})
            self._idle_watch = None
        if self._session is not None:
            self._retire(self._session, grace_s)
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._retiring:
            await asyncio.wait(set(self._retiring))

    def forgive(self) -> None:
        """Forget the failures in a row: a person mended what was wrong, or wants it tried again at once."""
        self._policy.forgive()

    async def warm(self) -> None:
        """Spawn the worker, if need be, and wait until it is ready. Raises `EngineFailure`."""
        async with self._my_turn(_never):
            await self._ready_session(_never)

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None = None,
        cancelled: Callable[[], bool] = _never,
    ) -> TaskResult:
        """Run one task, after the ones that came earlier.

        Raises `EngineFailure` (code, sentence, hint, retryable, exit_code, log_tail), or `JobCancelled`
        once `cancelled()` is true and the worker has let go of the task. Cancelling the coroutine stops
        the worker's task too.
        """
        async with self._my_turn(cancelled):
            session = await self._ready_session(cancelled)
            try:
                result = await session.execute(request, report, cancelled)
            except EngineFailure as failure:
                self._note_failure(session, failure)
                if session.poisoned and session.is_alive:
                    # Its memory is given back by its end alone: whoever hears of the failure may start
                    # another engine at once.
                    await asyncio.wait({self._retire(session, STOP_GRACE_S)})
                raise
            else:
                self._policy.succeeded()
                return result
            finally:
                self._tasks_done += 1
                self._retire_if_spent(session)

    def snapshot(self) -> WorkerSnapshot:
        """What is known now; never blocks."""
        session = self._session
        open_for_s = self._policy.open_for_s()
        alive = session is not None and session.is_alive
        state = session.state if session is not None and alive else "stopped"
        return WorkerSnapshot(
            name=self._spec.name,
            state="unavailable" if open_for_s is not None and not alive else state,
            worker_id=session.worker_id if session is not None and alive else None,
            pid=session.identity.pid if session is not None and alive and session.identity else None,
            rss_mib=session.rss_mib if session is not None and alive else None,
            quiet_s=self._clock.monotonic_s() - session.heard_at_s if session is not None and alive else None,
            job_id=session.job_id if session is not None else None,
            restarts=max(0, self._spawns - 1),
            tasks_done=self._tasks_done,
            last_error=self._last_error,
            unavailable_until_ms=(
                None if open_for_s is None else self._clock.now_ms() + round(open_for_s * 1000)
            ),
            ready=_ready_facts(session),
        )

    # --- turns ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def _my_turn(self, cancelled: Callable[[], bool]) -> AsyncIterator[None]:
        turn = self._turn
        if turn is None:
            raise self._failure(ErrorCode.WORKER_LOST, retryable=True)
        waiter = asyncio.ensure_future(turn.acquire())
        try:
            while not waiter.done():
                await asyncio.wait({waiter}, timeout=self._spec.limits.poll_s)
                if cancelled():
                    raise JobCancelled
        except BaseException:
            # The lock may have been given in this very moment: then it is given back.
            waiter.add_done_callback(lambda done: None if done.cancelled() else turn.release())
            waiter.cancel()
            raise
        try:
            if self._turn is not turn:  # stopped while waiting
                raise self._failure(ErrorCode.WORKER_LOST, retryable=True)
            yield
        finally:
            turn.release()

    # --- the worker ----------------------------------------------------------------------------

    async def _ready_session(self, cancelled: Callable[[], bool]) -> WorkerSession:
        """The warm worker, or a new one. A start goes on when its waiter is cancelled: the next task
        will need it."""
        session = self._session
        if session is not None:
            await session.settled()
            if session.is_usable:
                return session
            if session.is_alive and self._starting is None:
                self._retire(session, STOP_GRACE_S)
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_session(), name=f"start-{self._spec.name}")
            self._starting.add_done_callback(self._start_ended)
        starting = self._starting
        while not starting.done():
            await asyncio.wait({starting}, timeout=self._spec.limits.poll_s)
            if cancelled() and not starting.done():
                raise JobCancelled
        return starting.result()

    async def _start_session(self) -> WorkerSession:
        if self._policy.open_for_s() is not None:
            raise self._failure(ErrorCode.ENGINE_UNAVAILABLE, because=self._last_sentence)
        while self._retiring:  # two of a kind would need the memory twice
            await asyncio.wait(set(self._retiring))
        while self._policy.wait_s() > 0:
            await asyncio.sleep(min(self._policy.wait_s(), self._spec.limits.poll_s))
            self._refuse_when_stopped()
        self._refuse_when_stopped()
        session = WorkerSession(self._spec, log=self._log, clock=self._clock, observer=self._observer)
        self._session = session
        self._spawns += 1
        try:
            await session.open()
        except EngineFailure as failure:
            self._note_failure(session, failure)
            raise
        return session

    def _refuse_when_stopped(self) -> None:
        if self._turn is None:
            raise self._failure(ErrorCode.WORKER_LOST, retryable=True)

    def _start_ended(self, task: asyncio.Task[WorkerSession]) -> None:
        self._starting = None
        error = None if task.cancelled() else task.exception()  # fetched: the waiter may be gone
        if error is not None and not isinstance(error, EngineFailure):
            self._log.error("the start of %s failed", self._spec.name, exc_info=error)

    def _note_failure(self, session: WorkerSession, failure: EngineFailure) -> None:
        self._last_error = str(failure.code)
        self._last_sentence = failure.detail
        if failure.code in INPUT_CODES:
            self._policy.succeeded()  # it worked, the input did not
        elif failure.code in CLOSING:
            self._policy.failed(open_now=True)
        elif failure.code in _COUNTED:
            ready_at = session.ready_at_s
            ready_for_s = 0.0 if ready_at is None else self._clock.monotonic_s() - ready_at
            self._policy.failed(ready_for_s=ready_for_s)

    def _retire_if_spent(self, session: WorkerSession) -> None:
        worn = 0 < self._spec.recycle_after_tasks <= session.tasks_done
        if session.is_alive and (session.poisoned or worn):
            self._retire(session, STOP_GRACE_S)

    def _retire(self, session: WorkerSession, grace_s: float) -> asyncio.Task[None]:
        """Let a worker go in the background; the next one waits for its end."""
        if self._session is session:
            self._session = None
        task = asyncio.create_task(session.close(grace_s), name=f"retire-{session.worker_id}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task

    async def _watch_idle(self) -> None:
        while True:
            await asyncio.sleep(self._spec.limits.idle_check_s)
            session, turn = self._session, self._turn
            if session is None or turn is None or turn.locked() or not session.is_usable:
                continue
            idle_s = self._clock.monotonic_s() - session.idle_since_s
            if 0 < self._spec.idle_unload_s <= idle_s:
                self._log.info("%s is idle and is let go", session.worker_id)
                self._retire(session, STOP_GRACE_S)

    def _failure(self, code: ErrorCode, *, retryable: bool = False, because: str = "") -> EngineFailure:
        text = text_for(code, self._spec.title or self._spec.name)
        sentence = f"{text.sentence} The last time: {because}" if because else text.sentence
        return EngineFailure(code, sentence, hint=text.hint, retryable=retryable)


# Failures of the worker itself. Others are of one task, or wanted (worker_lost), and say nothing about
# whether the next start will do.
_COUNTED = frozenset(
    {
        ErrorCode.ENGINE_UNAVAILABLE,
        ErrorCode.IMPORT_FAILED,
        ErrorCode.PROTOCOL_MISMATCH,
        ErrorCode.MODEL_MISSING,
        ErrorCode.GPU_FAULT,
        ErrorCode.HOST_OOM,
        ErrorCode.WORKER_CRASHED,
        ErrorCode.WORKER_KILLED,
        ErrorCode.WORKER_HUNG,
    }
)


def _ready_facts(session: WorkerSession | None) -> dict[str, object]:
    ready = session.ready if session is not None else None
    if ready is None:
        return {}
    known = {
        "engine_version": ready.engine_version,
        "torch": ready.torch,
        "cuda": ready.cuda,
        "devices": ready.devices,
        "models": ready.models,
        "load_s": ready.load_s,
    }
    return {**known, **(ready.data or {})}
