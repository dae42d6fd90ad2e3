"""A small HTTP/1.1 client for load: keep-alive, lengths, chunks, event streams, and little work per request.

A usual client costs more than the server it measures. This one knows just what the service answers, and sends
nothing but to loopback.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

# uvicorn closes a connection that was idle for five seconds; like any client, this one does not use it then.
IDLE_S = 4.0
# No answer takes this long; one that does is counted as an error.
ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True)
class Answer:
    """Status and body of one answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One keep-alive connection to `127.0.0.1:port`, opened when first needed and again after a failure."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_s = 0.0

    async def request(self, method: str, target: str, body: Any = None) -> Answer:
        """Send one request and read its whole answer. Raises OSError and TimeoutError."""
        try:
            return await asyncio.wait_for(self._request(method, target, body), ANSWER_WITHIN_S)
        except BaseException:
            self.close()
            raise

    async def _request(self, method: str, target: str, body: Any) -> Answer:
        reader, writer = await self._open()
        await self._send(writer, method, target, body)
        status, headers = await _read_head(reader)
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, b"".join([piece async for piece in _chunks(reader)]))
        body_bytes = await reader.readexactly(int(headers.get("content-length", "0")))
        self._used_s = time.monotonic()
        return Answer(status, body_bytes)

    async def events(self, target: str, *, last_id: str | None = None) -> AsyncIterator[dict[str, str]]:
        """The events of a stream as fields, until the server ends it. Raises OSError when refused."""
        reader, writer = await self._open()
        await self._send(writer, "GET", target, None, last_id)
        status, _ = await _read_head(reader)
        if status != 200:
            self.close()
            raise ConnectionRefusedError(f"{target} answered {status}")
        rest = b""
        async for piece in _chunks(reader):
            *blocks, rest = (rest + piece).split(b"\n\n")
            for block in blocks:
                if not block.startswith(b":"):
                    pairs = (line.partition(": ") for line in block.decode().split("\n"))
                    yield {name: value for name, _, value in pairs}

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and time.monotonic() - self._used_s > IDLE_S:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    @staticmethod
    async def _send(
        writer: asyncio.StreamWriter, method: str, target: str, body: Any, last_id: str | None = None
    ) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n"
        if data:
            head += "Content-Type: application/json\r\n"
        if last_id is not None:
            head += f"Last-Event-ID: {last_id}\r\n"
        writer.write(head.encode() + b"\r\n" + data)
        await writer.drain()

    def close(self) -> None:
        """Hang up. Idempotent."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    return int(head[0].split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
