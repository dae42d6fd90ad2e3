"""A receiver of webhooks on loopback: keeps what comes and answers what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request: header names in lower case, the body as it came."""

    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


@dataclass
class Receiver:
    """`answers`: status lines with which the next requests are answered, then 204. `hold`: answer nothing."""

    url: str = ""
    answers: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold: bool = False
    received: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    async def next(self) -> Received:
        """The next request; waits for it."""
        return await asyncio.wait_for(self.received.get(), 30)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            await self.received.put(Received(headers, body))
            if self.hold:
                await reader.read()
                return
            status = self.answers.pop(0) if self.answers else "204 No Content"
            fields = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
            answer = f"HTTP/1.1 {status}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items()) + "\r\n"
            writer.write(answer.encode() + self.body)
            await writer.drain()


@contextlib.asynccontextmanager
async def receiving(**changes: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    receiver = Receiver(**changes)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=s3cret"
    try:
        yield receiver
    finally:
        server.close()
