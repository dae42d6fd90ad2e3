"""Holds one call of an engine adapter to its promises, whatever the adapter does. Runs in the service process.

In: the coroutine of `process_job`. Out: its end, or the reason why it was left. An adapter may be anybody's
code: it may ignore a cancel or its deadline, cancel itself, or ask the whole program to exit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled

# A worker's ladder (20 s of asking, 5 s of TERM, then KILL) ends before this; an adapter that still works
# then is left, because a cancel is final within 30 s.
CANCEL_GRACE_S = 27.0
# What is left is cancelled and may tidy up for this long.
LEAVE_S = 2.0
POLL_S = 0.1


async def call_adapter(
    work: Coroutine[Any, Any, Any], *, deadline_s: float, cancelled: Callable[[], bool]
) -> None:
    """Await `work`. Raises what it raises, `JobCancelled`, or EngineFailure(timeout, internal_error).

    When the caller itself is cancelled, `work` is too.
    """
    task = asyncio.ensure_future(_contained(work))
    now = asyncio.get_running_loop().time
    ends_at, leave_at = now() + deadline_s, float("inf")
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=POLL_S)
            if task.done():
                break
            if leave_at == float("inf") and cancelled():
                leave_at = now() + CANCEL_GRACE_S
            if now() >= leave_at:
                raise JobCancelled
            if now() >= ends_at:
                raise EngineFailure(
                    ErrorCode.TIMEOUT,
                    f"The engine did not finish within {deadline_s:.0f} s.",
                    hint="Shorten the script, or raise JOB_DEADLINE_S in .env.",
                )
        if task.cancelled():
            raise _unasked("it was cancelled from within")
        task.result()
    finally:
        if not task.done():
            task.add_done_callback(_seen)
            task.cancel()
            await asyncio.wait({task}, timeout=LEAVE_S)


async def _contained(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except SystemExit as error:
        raise _unasked("it asked the whole program to exit") from error


def _unasked(why: str) -> EngineFailure:
    return EngineFailure(
        ErrorCode.INTERNAL_ERROR,
        f"The engine ended without a word: {why}.",
        hint="Try again; if it happens each time, choose another engine.",
    )


def _seen(task: asyncio.Task[None]) -> None:
    """The end of a task that nobody waits for any more is not worth a warning."""
    if not task.cancelled():
        task.exception()
