"""Builds the `EngineFailure` that a caller sees from what is known of a worker's failure. Service process."""

from __future__ import annotations

import logging

from backend.engines.classify import Evidence, Verdict, classify
from backend.engines.failure_text import strip_paths, text_for
from backend.engines.protocol import CANCELLED, Fatal, Result
from backend.engines.worker_log import LogPipe, escape
from backend.engines.worker_process import WorkerExit
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure

# A row of the attempts table keeps the tail: room for a long traceback, not for a flood.
_TAIL_CHARS = 16_000


class FailureReporter:
    """One worker's failures in words. Raw text goes to the log and, without paths, to `log_tail`."""

    def __init__(self, title: str, worker_id: str, pipe: LogPipe, log: logging.Logger) -> None:
        self._title = title
        self._worker_id = worker_id
        self._pipe = pipe
        self._log = log

    def of(
        self,
        verdict: Verdict,
        *,
        exit_code: int | None = None,
        sentence: str = "",
        detail: str = "",
        retryable: bool = False,
    ) -> EngineFailure:
        """`sentence` is the engine's own, for a person; without it the table's is used."""
        text = text_for(verdict.code, self._title)
        self._log.warning(
            "%s failed: %s (exit status %s) %s", self._worker_id, verdict.code, exit_code, escape(detail)
        )
        raw = f"{detail}\n{self._pipe.tail()}".strip()
        return EngineFailure(
            verdict.code,
            escape(strip_paths(sentence)) or text.sentence,
            hint=text.hint,
            retryable=retryable or verdict.policy.retries,
            exit_code=exit_code,
            log_tail=strip_paths("\n".join(escape(line) for line in raw.splitlines())[-_TAIL_CHARS:]),
        )

    def of_exit(
        self,
        end: WorkerExit,
        *,
        fatal: Fatal | None,
        broke_protocol: bool,
        wanted: bool,
        was_ready: bool,
        stage: str,
    ) -> EngineFailure:
        """The worker died. `wanted`: we ended it while it had a task."""
        if end.spawn_error is not None:
            missing = isinstance(end.spawn_error, (FileNotFoundError, NotADirectoryError, PermissionError))
            code = ErrorCode.ENGINE_NOT_INSTALLED if missing else ErrorCode.ENGINE_UNAVAILABLE
            return self.of(Verdict.of(code), detail=str(end.spawn_error))
        if broke_protocol:
            return self.of(Verdict.of(ErrorCode.PROTOCOL_MISMATCH), exit_code=end.exit_code)
        if wanted:
            return self.of(Verdict.of(ErrorCode.WORKER_LOST), exit_code=end.exit_code)
        verdict = classify(
            Evidence(
                exit_code=end.exit_code,
                reported=fatal.code if fatal else None,
                text=fatal.detail if fatal else "",
                log_tail=self._pipe.tail(),
                stage=stage,
                oom_kills_rose=end.oom_kills_rose,
                was_ready=was_ready,
            )
        )
        # What the host says about a broken protocol is for the log, what a handler says for a person.
        for_people = fatal is not None and verdict.code is not ErrorCode.PROTOCOL_MISMATCH
        return self.of(
            verdict,
            exit_code=end.exit_code,
            sentence=fatal.message if fatal and for_people else "",
            detail=f"{fatal.message} {fatal.detail}".strip() if fatal else "",
        )

    def of_result(self, result: Result, *, stage: str) -> tuple[Verdict, EngineFailure]:
        """The task failed and the worker lives."""
        error = result.error or {}
        reported = str(error.get("code", ""))
        if reported == CANCELLED:  # nobody asked it to stop
            reported = str(ErrorCode.INTERNAL_ERROR)
        detail = str(error.get("detail", ""))
        verdict = classify(Evidence(reported=reported, text=detail, stage=stage))
        failure = self.of(
            verdict,
            sentence=str(error.get("message", "")),
            detail=detail,
            retryable=bool(error.get("retryable")),
        )
        return verdict, failure
