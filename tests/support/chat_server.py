"""A chat model's server on loopback, as good or as bad as a test wants it.

It speaks plain HTTP/1.1 over a socket, so that it can do what a well-meant library would not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Talk = Callable[["Line"], Awaitable[None]]

STREAM = "text/event-stream"


def delta(text: str, **more: Any) -> dict[str, Any]:
    """One chunk of an answer in OpenAI's shape."""
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": None}]}


def finish(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@dataclass
class Line:
    """One connection with its request. What is sent goes out at once."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def json(self) -> Any:
        return json.loads(self.body)

    async def head(self, status: int = 200, kind: str = STREAM, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, chunk: dict[str, Any]) -> None:
        await self.raw(f"data: {json.dumps(chunk)}\n\n".encode())

    async def say(self, *pieces: str, reason: str = "stop") -> None:
        """A whole answer."""
        await self.head()
        for piece in pieces:
            await self.chunk(delta(piece))
        await self.chunk(finish(reason))
        await self.raw(b"data: [DONE]\n\n")

    async def answer(self, body: Any, status: int = 200) -> None:
        await self.head(status, "application/json")
        await self.raw(json.dumps(body).encode())

    async def until_hung_up(self) -> None:
        """Wait until the other side has gone."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass


@dataclass
class ChatHost:
    """A running server: what was asked of it, and how it answers `POST /chat/completions` in turn."""

    models: Any = field(default_factory=lambda: [{"id": "tiny-chat", "owned_by": "llamacpp"}])
    models_status: int = 200
    port: int = 0
    seen: list[Line] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> list[Any]:
        """The bodies of all requests for an answer."""
        return [line.json() for line in self.seen if line.method == "POST"]

    def will(self, *talks: Talk) -> None:
        """The next answers; the last one goes on for ever."""
        self.talks = list(talks)

    def will_say(self, *texts: str) -> None:
        """Whole answers, in pieces of three characters."""

        def saying(text: str) -> Talk:
            async def talk(line: Line) -> None:
                await line.say(*[text[at : at + 3] for at in range(0, len(text), 3)])

            return talk

        self.will(*map(saying, texts))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            self._serving.discard(task)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()  # nobody reads what is left
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        line = Line(method, path, headers, body, reader, writer)
        self.seen.append(line)
        if method == "GET":
            await line.answer({"object": "list", "data": self.models}, self.models_status)
            return
        talk = self.talks.pop(0) if len(self.talks) > 1 else self.talks[0]
        await talk(line)

    async def _stop(self) -> None:
        """Nobody is served any more; returns when every connection is closed."""
        while self._serving:
            for task in set(self._serving):
                task.cancel()
            await asyncio.wait(set(self._serving))


@contextlib.asynccontextmanager
async def chat_host(*says: str, models: Sequence[dict[str, Any]] | None = None) -> AsyncIterator[ChatHost]:
    """A server on a free port; `says` are its answers."""
    host = ChatHost() if models is None else ChatHost(models=list(models))
    if says:
        host.will_say(*says)
    server = await asyncio.start_server(host._serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        await host._stop()
