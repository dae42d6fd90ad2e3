"""One worker from its spawn to its death, on the event loop: handshake, tasks, the ladder. Service process.

    new -> starting -> importing -> loading -> idle <-> running -> cancelling -> (idle | stopping) -> dead

End of file or exit from any state leads to dead. A session is never revived: the supervisor makes another.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from enum import Enum
from typing import Any

from backend.engines.classify import Verdict
from backend.engines.process_tree import ProcessIdentity
from backend.engines.protocol import (
    PROTOCOL_VERSION,
    Fatal,
    Heartbeat,
    Hello,
    JobMessage,
    MessageTooLongError,
    ProtocolViolationError,
    Ready,
    Result,
    State,
    WorkerMessage,
)
from backend.engines.task_deadline import TaskDeadline
from backend.engines.worker_attempt import Attempt
from backend.engines.worker_env import build_worker_env
from backend.engines.worker_failure import FailureReporter
from backend.engines.worker_log import LogPipe, escape
from backend.engines.worker_process import WorkerCallbacks, WorkerExit, WorkerProcess
from backend.engines.worker_types import (
    ProgressUpdate,
    TaskRequest,
    TaskResult,
    WorkerObserver,
    WorkerSpec,
)
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import Clock

# A worker that was asked to shut down and did not has no work to save: with this a stop of the whole service
# stays below 10 s.
CLOSE_TERM_S = 2.0


class _Outcome(Enum):
    DONE = "done"
    EXITED = "exited"
    CANCELLED = "cancelled"
    LATE = "late"
    SILENT = "silent"


class WorkerSession:
    """Owns one `WorkerProcess`. One task at a time; the supervisor sees to that."""

    def __init__(
        self, spec: WorkerSpec, *, log: logging.Logger, clock: Clock, observer: WorkerObserver | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.worker_id = f"{spec.name}-{secrets.token_hex(4)}"
        self.state = "new"
        self.poisoned = False
        self.tasks_done = 0
        self.rss_mib: float | None = None
        self.identity: ProcessIdentity | None = None
        self.ready: Ready | None = None
        self.ready_at_s: float | None = None
        self.heard_at_s = clock.monotonic_s()
        self.idle_since_s = clock.monotonic_s()
        self.exited: asyncio.Future[WorkerExit] = loop.create_future()
        self._spec = spec
        self._limits = spec.limits
        self._log = log
        self._clock = clock
        self._observer = observer
        self._hello: asyncio.Future[Hello] = loop.create_future()
        self._loaded: asyncio.Future[Ready] = loop.create_future()
        self._fatal: Fatal | None = None
        self._violation: str | None = None
        self._stopping = False
        self._attempt: Attempt | None = None
        self._winding: asyncio.Task[None] | None = None
        self._drained = ""  # the newest drain token that came by the log pipe
        self._drain_waiter: asyncio.Future[None] | None = None
        self._pipe = LogPipe(
            worker_id=self.worker_id,
            log=log,
            clock=clock,
            on_drain=lambda token: self._call_soon(loop, token),
        )
        self._failures = FailureReporter(spec.title or spec.name, self.worker_id, self._pipe, log)
        self._process = WorkerProcess(
            worker_id=self.worker_id,
            argv=spec.argv(),
            env=build_worker_env(spec.env, spec.extra_env),
            cwd=spec.work_dir,
            log_pipe=self._pipe,
            callbacks=WorkerCallbacks(self._on_spawned, self._on_message, self._on_violation, self._on_exit),
            loop=loop,
        )

    @property
    def is_alive(self) -> bool:
        return not self.exited.done()

    @property
    def is_usable(self) -> bool:
        """Whether it may be given a task now."""
        return self.is_alive and self.state == "idle" and not self.poisoned and not self._stopping

    @property
    def job_id(self) -> str | None:
        return self._attempt.request.job_id if self._attempt else None

    # --- start ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Spawn and wait until ready. Raises `EngineFailure`; the process is gone then."""
        self.state = "starting"
        self._log_line("starting %s", " ".join(self._spec.argv()))
        self._process.start()
        self._process.send("init", self._spec.init_fields(self.worker_id))
        outcome = await self._until(self._hello, deadline=self._in(self._spec.hello_timeout_s))
        if outcome is _Outcome.DONE:
            if self._hello.result().protocol != PROTOCOL_VERSION:
                self._on_violation(f"the worker speaks protocol {self._hello.result().protocol}")
            outcome = await self._until(
                self._loaded,
                deadline=self._in(self._spec.start_timeout_s),
                quiet_s=self._limits.quiet_loading_s,
            )
        if outcome is _Outcome.DONE and self._violation is None:
            return
        if outcome in (_Outcome.LATE, _Outcome.SILENT):
            await self.end()
            raise self._failure(ErrorCode.WORKER_HUNG)
        if self.is_alive:  # it broke the protocol and is being killed
            await self.end()
        raise self._failure_of_exit()

    # --- one task ------------------------------------------------------------------------------

    async def execute(
        self,
        request: TaskRequest,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult:
        """Run one task. Raises `EngineFailure` or `JobCancelled`; see `is_usable` afterwards."""
        try:
            self._process.send("run", request.run_fields())
        except (MessageTooLongError, TypeError, ValueError) as error:
            self._log_line("the task cannot be sent: %s", error, level=logging.ERROR)
            raise self._failure(ErrorCode.INTERNAL_ERROR) from error
        deadline = self._in(request.deadline_s, moves=request.deadline_moves)
        attempt = self._attempt = Attempt(request, deadline.hearing(report, self._clock), self._log)
        self._pipe.begin_attempt(request.job_id)
        self._process.note_attempt()
        self.state = "running"
        self.heard_at_s = self._clock.monotonic_s()
        try:
            outcome = await self._until(
                attempt.result,
                deadline=deadline,
                quiet_s=self._limits.quiet_running_s,
                cancelled=cancelled,
            )
            if outcome in (_Outcome.CANCELLED, _Outcome.LATE, _Outcome.SILENT):
                await self._wind_down(attempt, outcome.value)
            return await self._conclude(attempt, outcome, cancelled)
        except BaseException:
            # The caller is going away (or its `cancelled` raised); the engine must not work on. A second
            # cancellation lets the caller go at once, the ladder still runs to its end.
            climbed = self._winding is not None and self._winding.done()
            if not attempt.result.done() and self.is_alive and not climbed:
                await self._wind_down(attempt, "abandoned")
            raise
        finally:
            self.tasks_done += 1
            if self._winding is None or self._winding.done():
                self._forget(attempt)

    async def _conclude(
        self, attempt: Attempt, outcome: _Outcome, cancelled: Callable[[], bool]
    ) -> TaskResult:
        if attempt.result.done():
            await self._drain(attempt.result.result())
        if outcome is _Outcome.CANCELLED or cancelled():
            raise JobCancelled(attempt.request.job_id)
        if outcome is _Outcome.LATE:
            raise self._failure(ErrorCode.TIMEOUT)
        if outcome is _Outcome.SILENT:
            self.poisoned = True
            raise self._failure(ErrorCode.WORKER_HUNG)
        if not attempt.result.done():
            raise self._failure_of_exit()
        result = attempt.result.result()
        if not result.ok:
            verdict, failure = self._failures.of_result(result, stage=attempt.stage)
            self.poisoned = self.poisoned or verdict.poisons_worker
            raise failure
        try:
            return await attempt.finished(result)
        except ProtocolViolationError as error:
            self._on_violation(str(error))
            raise self._failure(ErrorCode.PROTOCOL_MISMATCH) from error

    async def _drain(self, result: Result) -> None:
        """Wait until the log lines that were printed before the result have arrived, or 1 s."""
        self.poisoned = self.poisoned or bool((result.error or {}).get("poisons_worker"))
        if result.drain is None or result.drain == self._drained or not self.is_alive:
            return
        self._drain_waiter = asyncio.get_running_loop().create_future()
        await self._first_of(self._drain_waiter, self._limits.drain_s)
        self._drain_waiter = None

    # --- the ladder ----------------------------------------------------------------------------

    async def _wind_down(self, attempt: Attempt, reason: str) -> None:
        """Ask, then TERM, then KILL. Runs to its end even if the caller is cancelled."""
        if self._winding is None or self._winding.done():
            self._winding = asyncio.create_task(
                self._ladder(attempt, reason), name=f"ladder-{self.worker_id}"
            )
        await asyncio.shield(self._winding)

    async def _ladder(self, attempt: Attempt, reason: str) -> None:
        request = attempt.request
        self.state = "cancelling"
        fields = {"job_id": request.job_id, "attempt": request.attempt, "reason": reason}
        self._process.send("cancel", fields)
        await self._first_of(attempt.result, self._limits.cancel_grace_s)
        if not attempt.result.done() and self.is_alive:
            await self.end()
        self._forget(attempt)

    def _forget(self, attempt: Attempt) -> None:
        if self._attempt is attempt:
            self._attempt = None
            self._pipe.begin_attempt(None)
            self.idle_since_s = self._clock.monotonic_s()
            if self.is_alive and not self._stopping:
                self.state = "idle" if attempt.result.done() else "stopping"

    async def settled(self) -> None:
        """Wait for a ladder that outlived its caller."""
        if self._winding is not None:
            await asyncio.wait({self._winding})

    async def close(self, grace_s: float) -> None:
        """Wanted end: ask to shut down, then the ladder's last rungs. Idempotent; never raises."""
        if not self.is_alive:
            return
        self._stopping = True
        self.state = "stopping"
        self._process.send("shutdown", {"grace_s": grace_s})
        if not await self._gone_within(grace_s):
            await self.end(min(CLOSE_TERM_S, self._limits.term_grace_s))

    async def end(self, term_grace_s: float | None = None) -> None:
        """TERM the tree, after a while (default: of the limits) KILL it, wait for the death."""
        self._stopping = True
        self.state = "stopping"
        self._process.terminate()
        if await self._gone_within(self._limits.term_grace_s if term_grace_s is None else term_grace_s):
            return
        self._process.kill()
        if not await self._gone_within(self._limits.kill_grace_s):
            self._log_line("survives SIGKILL; the system holds it", level=logging.ERROR)

    async def _gone_within(self, seconds: float) -> bool:
        await asyncio.wait({self.exited}, timeout=seconds)
        return self.exited.done()

    async def _first_of(self, awaited: asyncio.Future[Any], timeout_s: float) -> None:
        """Wait for `awaited`, the worker's death or the timeout, whichever comes first."""
        both: set[asyncio.Future[Any]] = {awaited, self.exited}
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    def _in(self, seconds: float, *, moves: bool = False) -> TaskDeadline:
        return TaskDeadline(seconds, self._clock.monotonic_s(), moves=moves)

    async def _until(
        self,
        awaited: asyncio.Future[Any],
        *,
        deadline: TaskDeadline,
        quiet_s: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> _Outcome:
        while True:
            await self._first_of(awaited, self._limits.poll_s)
            if awaited.done():
                return _Outcome.DONE
            if self.exited.done():
                return _Outcome.EXITED
            if cancelled is not None and cancelled():
                return _Outcome.CANCELLED
            now = self._clock.monotonic_s()
            if now >= deadline.ends_at_s:
                return _Outcome.LATE
            if quiet_s is not None and now - self.heard_at_s >= quiet_s:
                return _Outcome.SILENT

    def _failure_of_exit(self) -> EngineFailure:
        attempt = self._attempt
        return self._failures.of_exit(
            self.exited.result(),
            fatal=self._fatal,
            broke_protocol=self._violation is not None,
            wanted=self._stopping,
            was_ready=self.ready is not None,
            stage=attempt.stage if attempt else "",
        )

    def _failure(self, code: ErrorCode) -> EngineFailure:
        exit_code = self.exited.result().exit_code if self.exited.done() else None
        return self._failures.of(Verdict.of(code), exit_code=exit_code)

    # --- what the process says (on the loop) ---------------------------------------------------

    def _on_spawned(self, identity: ProcessIdentity) -> None:
        self.identity = identity
        if self._observer is not None:
            self._observer.worker_spawned(identity)

    def _on_message(self, message: WorkerMessage) -> None:
        self.heard_at_s = self._clock.monotonic_s()
        if isinstance(message, JobMessage):
            if self._attempt is not None:
                try:
                    self._attempt.take(message)
                except ProtocolViolationError as error:
                    self._on_violation(str(error))
        elif isinstance(message, Heartbeat):
            self.rss_mib = message.rss_mib
        elif isinstance(message, State):
            if self.state in ("starting", "importing", "loading") and message.state in (
                "importing",
                "loading",
            ):
                self.state = message.state
        elif isinstance(message, Hello):
            if not self._hello.done():
                self._hello.set_result(message)
        elif isinstance(message, Ready):
            self._on_ready(message)
        elif isinstance(message, Fatal):
            self._fatal = message
            self._log_line("fatal: %s %s", message.code, escape(message.detail), level=logging.ERROR)

    def _on_ready(self, message: Ready) -> None:
        if not self._hello.done():
            self._on_violation("ready before hello")
        elif not self._loaded.done():
            self.ready = message
            self.ready_at_s = self.idle_since_s = self._clock.monotonic_s()
            self.state = "idle"
            self._log_line("ready in %.2f s", message.load_s or 0.0)
            self._loaded.set_result(message)

    def _on_violation(self, reason: str) -> None:
        if self._violation is None:
            self._violation = reason
            self.poisoned = True
            self._log_line("broke the protocol and is ended: %s", escape(reason), level=logging.ERROR)
            self._process.kill()

    def _on_exit(self, end: WorkerExit) -> None:
        self.state = "dead"
        self._log_line("ended with status %s", end.exit_code)
        if end.leftovers:
            self._log_line("left processes behind: %s", end.leftovers, level=logging.ERROR)
        self.exited.set_result(end)
        if self._observer is not None and self.identity is not None:
            self._observer.worker_died(self.identity, end.exit_code)

    def _call_soon(self, loop: asyncio.AbstractEventLoop, token: str) -> None:
        try:
            loop.call_soon_threadsafe(self._on_drained, token)
        except RuntimeError:  # the loop is closed: nobody waits for the token
            return

    def _on_drained(self, token: str) -> None:
        self._drained = token
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def _log_line(self, text: str, *arguments: object, level: int = logging.INFO) -> None:
        extra = {"worker_id": self.worker_id, "job_id": self.job_id}
        self._log.log(level, "%s " + text, self.worker_id, *arguments, extra=extra)
