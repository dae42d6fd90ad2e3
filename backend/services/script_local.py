"""Asks the writer worker, which runs a small model on this computer. Runs in the service process.

The worker's text grows in a file of the attempt's directory; each progress report says that there is more of it, and
the new part is read and handed on. So a text streams without any bulk on the worker's protocol.
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError, JobCancelled
from backend.utils.chat_client import ChatPiece

TEXT_FILE = "text.txt"
# Reading a gigabyte from a slow disk and ten minutes of script at three words a second.
DEADLINE_S = 1200.0
# Should a report be late, the file is looked at all the same.
_LOOK_EVERY_S = 0.5
# Failures that are not about writing: what follows them is the executor's business.
_NOT_OURS = frozenset({ErrorCode.DISK_FULL, ErrorCode.WORKER_LOST})
_HINT = (
    "Try again. If it happens each time: the small model needs about 2 GB of free memory and a processor with AVX2 "
    "(2013 or later); logs/worker.log has the details."
)


@dataclass(frozen=True)
class LocalRequest:
    """What to write with which file. `work_dir` is fresh; `ticket` names the task (a job's id or a random one)."""

    model: Path
    messages: Sequence[dict[str, str]]
    max_tokens: int
    seed: int
    ticket: str
    attempt: int
    work_dir: Path


class LocalWriter:
    """Owns no state; the worker takes one task at a time."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker

    async def stream(
        self, request: LocalRequest, *, cancelled: Callable[[], bool]
    ) -> AsyncGenerator[ChatPiece, None]:
        """The text as it grows; the last piece has `finish`. Closing the generator ends the task.

        Raises EngineFailure (`script_failed`), InputError (`script_model_missing`) or JobCancelled.
        """
        output_dir = request.work_dir / "text"
        asked = request.work_dir / "request.json"
        body = {"messages": list(request.messages), "max_tokens": request.max_tokens}
        await asyncio.to_thread(_prepare, output_dir, asked, json.dumps(body, ensure_ascii=False))
        more = asyncio.Event()

        def report(_update: ProgressUpdate) -> None:
            more.set()

        task = asyncio.create_task(
            self._worker.run(
                TaskRequest(
                    job_id=request.ticket,
                    attempt=request.attempt,
                    task="script_write",
                    inputs={"request": asked, "model": request.model},
                    params={},
                    output_dir=output_dir,
                    deadline_s=DEADLINE_S,
                    seed=request.seed,
                ),
                report=report,
                cancelled=cancelled,
            ),
            name=f"write-{request.ticket}",
        )
        task.add_done_callback(lambda _task: more.set())
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        read = 0
        try:
            while not task.done():
                await _wait_for(more)
                more.clear()
                new = await asyncio.to_thread(_tail, output_dir / TEXT_FILE, read)
                read += len(new)
                if text := decoder.decode(new):
                    yield ChatPiece(text)
            result = await _result_of(task)
            new = await asyncio.to_thread(_tail, output_dir / TEXT_FILE, read)
            if text := decoder.decode(new, final=True):
                yield ChatPiece(text)
            yield ChatPiece(finish=str(result.data.get("finish", "stop")))
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


async def _wait_for(more: asyncio.Event) -> None:
    waiting = asyncio.ensure_future(more.wait())
    try:
        await asyncio.wait({waiting}, timeout=_LOOK_EVERY_S)
    finally:
        waiting.cancel()


async def _result_of(task: asyncio.Task[TaskResult]) -> TaskResult:
    try:
        return await task
    except EngineFailure as failure:
        if failure.code in _NOT_OURS:
            raise
        if failure.code is ErrorCode.MODEL_MISSING:
            raise InputError(
                ErrorCode.SCRIPT_MODEL_MISSING,
                "The small model's file is missing or damaged.",
                hint="Delete and download it again (Models page, or DELETE and POST /api/models/script-qwen).",
            ) from failure
        raise EngineFailure(ErrorCode.SCRIPT_FAILED, failure.detail, hint=_HINT) from failure
    except asyncio.CancelledError:
        if task.cancelled():
            raise JobCancelled from None
        raise


def _prepare(output_dir: Path, asked: Path, body: str) -> None:
    output_dir.mkdir(parents=True)
    asked.write_text(body, encoding="utf-8")


def _tail(path: Path, offset: int) -> bytes:
    """What the file holds beyond `offset`; nothing while it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""
