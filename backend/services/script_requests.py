"""Texts written on request, without a job: `POST /api/script`. Runs in the service process.

A text is written by one task of its own. Whoever asked may read along; when they go away, the task is cancelled and
with it the model's work. How many are written at the same time is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, ProductError, RequestError
from backend.models.script import ScriptModelList, ScriptOrder, ScriptText
from backend.services.script_endpoints import ScriptApi, ScriptModel, ScriptModels
from backend.services.script_writer import Assignment, Desk, ScriptWriter
from backend.utils.logger import app_logger

# A model on one's own computer writes one text at a time; a second request may wait for it.
MAX_WRITING = 2
# So often a quiet stream says that it is alive, and learns whether somebody still reads.
PING_EVERY_S = 1.0


@dataclass(frozen=True)
class ScriptEvent:
    """One event of a text in the making."""

    type: Literal["delta", "restart", "done", "error"]
    data: dict[str, Any]


class ScriptService:
    """Writes for one caller at a time and place; counts them."""

    def __init__(self, models: ScriptModels, writer: ScriptWriter, *, work_dir: Path) -> None:
        self._models = models
        self._writer = writer
        self._work_dir = work_dir
        self._writing = 0

    def use(self, api: ScriptApi) -> None:
        """Other settings of who writes; also for jobs, which ask the same list."""
        self._models.use(api)

    async def models(self) -> ScriptModelList:
        return await self._models.listed()

    async def write(self, order: ScriptOrder) -> ScriptText:
        """The whole text. Cancel the call to stop the model."""
        with self._place():
            model = await self._models.choose(order.model)
            async with self._desk() as desk:
                return await self._writer.write(model, _assignment(order), desk)

    async def open(self, order: ScriptOrder) -> AsyncIterator[ScriptEvent | None]:
        """Events until `done` or `error`; None is a sign of life. Raises at once what can be known at once."""
        with contextlib.ExitStack() as place:
            place.enter_context(self._place())
            model = await self._models.choose(order.model)
            stream = self._events(model, order, place.pop_all())
        # A stream that never ran would never give its place back.
        return _prepend(await stream.__anext__(), stream)

    async def _events(
        self, model: ScriptModel, order: ScriptOrder, place: contextlib.ExitStack
    ) -> AsyncGenerator[ScriptEvent | None, None]:
        events: asyncio.Queue[ScriptEvent] = asyncio.Queue()

        def shown(text: str) -> None:
            if text:
                events.put_nowait(ScriptEvent("delta", {"text": text}))

        def again() -> None:
            events.put_nowait(ScriptEvent("restart", {}))

        async def write() -> None:
            async with self._desk() as desk:
                desk = Desk(desk.ticket, desk.work_dir, desk.cancelled, shown=shown, again=again)
                events.put_nowait(await _last_event(self._writer.write(model, _assignment(order), desk)))

        with place:
            writing = asyncio.create_task(write(), name="write-script")
            try:
                yield None
                while True:
                    try:
                        event = await asyncio.wait_for(events.get(), PING_EVERY_S)
                    except asyncio.TimeoutError:
                        if writing.done() and events.empty():
                            writing.result()  # a cancel from outside; a failure is an event
                            return
                        yield None
                        continue
                    yield event
                    if event.type in {"done", "error"}:
                        return
            finally:
                writing.cancel()
                await asyncio.wait({writing})

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places; raises `rate_limited` when all are taken."""
        if self._writing >= MAX_WRITING:
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                "Other scripts are being written at this moment.",
                hint="Wait until one of them is done, then try again.",
            )
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1

    @contextlib.asynccontextmanager
    async def _desk(self) -> AsyncIterator[Desk]:
        ticket = f"script_{secrets.token_hex(8)}"
        folder = self._work_dir / ticket
        try:
            yield Desk(ticket, folder, lambda: False)
        finally:
            # Shielded by nothing: a folder that stays is emptied at the next start.
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _assignment(order: ScriptOrder) -> Assignment:
    return Assignment(
        topic=order.topic.strip(),
        language=order.language,
        seconds=order.seconds,
        style=order.style,
        speakers=tuple(order.speakers),
        # Whoever asks again wants another text.
        seed=secrets.randbelow(2**31),
    )


async def _last_event(writing: Coroutine[Any, Any, ScriptText]) -> ScriptEvent:
    """How the writing ended, as an event."""
    try:
        text = await writing
    except ProductError as error:
        return _error(error)
    except Exception as error:  # noqa: BLE001 - the answer has begun: what went wrong can only be an event now
        app_logger.exception("a script could not be written")
        return _error(
            EngineFailure(
                ErrorCode.INTERNAL_ERROR,
                f"Something unexpected went wrong ({type(error).__name__}).",
                hint="The details are in logs/app.log.",
            )
        )
    return ScriptEvent("done", text.model_dump(mode="json"))


def _error(error: ProductError) -> ScriptEvent:
    return ScriptEvent("error", {"code": str(error.code), "detail": error.detail, "hint": error.hint})


async def _prepend(
    first: ScriptEvent | None, rest: AsyncGenerator[ScriptEvent | None, None]
) -> AsyncIterator[ScriptEvent | None]:
    async with contextlib.aclosing(rest):
        yield first
        async for event in rest:
            yield event
