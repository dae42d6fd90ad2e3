"""One attempt on a worker: collects what the worker says about it, checks its files. Service process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from backend.engines.protocol import Accepted, Artifact, JobMessage, Progress, ProtocolViolationError, Result
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult, WorkerArtifact
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure

# A task leaves a handful of files; more is a worker gone mad.
MAX_ARTIFACTS = 256


class Attempt:
    """Lives on the event loop from `run` to the result. Messages of other attempts are not its own."""

    def __init__(
        self, request: TaskRequest, report: Callable[[ProgressUpdate], None] | None, log: logging.Logger
    ) -> None:
        self.request = request
        self.result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.stage = ""
        self._report = report
        self._log = log
        self._artifacts: list[Artifact] = []

    def take(self, message: JobMessage) -> None:
        """Take a message if it names this very attempt. Raises `ProtocolViolationError`."""
        if (message.job_id, message.attempt) != (self.request.job_id, self.request.attempt):
            return  # the fence: an old attempt may still speak
        if self.result.done() or isinstance(message, Accepted):
            return
        if isinstance(message, Progress):
            self._take_progress(message)
        elif isinstance(message, Artifact):
            if len(self._artifacts) >= MAX_ARTIFACTS:
                raise ProtocolViolationError(f"more than {MAX_ARTIFACTS} artifacts")
            self._artifacts.append(message)
        elif isinstance(message, Result):
            self.result.set_result(message)

    def _take_progress(self, message: Progress) -> None:
        self.stage = message.stage or self.stage
        if self._report is None:
            return
        update = ProgressUpdate(
            message.fraction, message.message, message.stage, message.step, message.steps, message.eta_s
        )
        try:
            self._report(update)
        except Exception:  # noqa: BLE001  whatever a foreign listener raises
            # A listener's mistake must not cost the job; it is ours and belongs in the log.
            self._log.exception("a progress listener failed", extra={"job_id": self.request.job_id})

    async def finished(self, result: Result) -> TaskResult:
        """The task's result with its files checked.

        Raises `EngineFailure(no_output)` for a file that is not there or not as announced, and
        `ProtocolViolationError` for one outside the attempt's directory.
        """
        files = await asyncio.to_thread(_check_all, self.request.output_dir, tuple(self._artifacts))
        return TaskResult(dict(result.data or {}), files, dict(result.metrics or {}))


def _check_all(output_dir: Path, artifacts: tuple[Artifact, ...]) -> tuple[WorkerArtifact, ...]:
    root = output_dir.resolve()
    return tuple(_check(root, artifact) for artifact in artifacts)


def _check(root: Path, artifact: Artifact) -> WorkerArtifact:
    relative = PurePosixPath(artifact.path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in artifact.path or "\0" in artifact.path:
        raise ProtocolViolationError("an artifact's path leaves its directory")
    path = (root / relative).resolve()
    if path == root or not path.is_relative_to(root):
        raise ProtocolViolationError("an artifact's path leaves its directory")
    if not path.is_file():
        raise EngineFailure(ErrorCode.NO_OUTPUT, "The engine said it was done but left no file.")
    if path.stat().st_size != artifact.bytes:
        raise EngineFailure(ErrorCode.NO_OUTPUT, "The engine left a file that is not the one it announced.")
    return WorkerArtifact(
        role=artifact.role,
        path=path,
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        media_type=artifact.media_type,
        width=artifact.width,
        height=artifact.height,
        fps=artifact.fps,
        duration_s=artifact.duration_s,
    )
