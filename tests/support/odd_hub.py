"""A hub on loopback that misbehaves as it is told, request by request. A bare server: it can lie about anything."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass
class Seen:
    """One request as it came; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class OddHub:
    """`files`: path to bytes. `plan[path]`: what to do with the next requests, in order; then it behaves.

    drop:N   hang up after N bytes of the body        stall:N   send N bytes, then nothing
    status:N answer with that status                  short     announce and send one byte less
    long     say no length, send one byte more        wrong     other bytes of the same length
    plain    ignore Range, send everything            gzip      compress although nobody asked
    to:URL   redirect there                           shifted   answer a Range from another place
    416      refuse the range
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    plan: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    seen: list[Seen] = field(default_factory=list)
    rate: int = 0  # bytes a second; 0: as fast as it goes
    open_now: int = 0
    open_most: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def gets(self, part: str = "") -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "GET" and part in seen.target]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            self.open_now -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        self.seen.append(Seen(method, target, headers))
        path = unquote(urlsplit(target).path)
        planned = self.plan[path]
        todo = planned.popleft() if planned and method == "GET" else ""
        if path.startswith("/api/v1/models/") and path not in self.files:
            self.files[path] = self._listing(path)
        if path not in self.files and not todo.startswith("to:"):
            todo = "status:404"
        if todo.startswith("to:"):
            await self._send(writer, 302, {"Location": todo[3:], **self._linked(path)}, b"")
            return
        if todo.startswith("status:"):
            await self._send(writer, int(todo[7:]), {"Retry-After": "0"}, b"no")
            return
        data = self.files[path]
        etag = self.etags.get(path, f'"{hashlib.sha256(data).hexdigest()}"')
        out = {"ETag": etag, "Accept-Ranges": "bytes"}
        begin, status = 0, 200
        asked = headers.get("range")
        if todo == "416" and asked:
            await self._send(writer, 416, {"Content-Range": f"bytes */{len(data)}"}, b"")
            return
        same = headers.get("if-range", etag) == etag
        if asked and same and todo != "plain":
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, status = int(first), 206
            end = min(int(last), len(data) - 1) if last else len(data) - 1
            out["Content-Range"] = f"bytes {begin + (todo == 'shifted')}-{end}/{len(data)}"
            body = data[begin : end + 1]
        else:
            body = data
        if todo == "wrong":
            body = bytes(byte ^ 0xFF for byte in body)
        if todo == "short":
            body = body[:-1]
        length = len(body)
        if todo == "gzip":
            body = gzip.compress(body)
            out["Content-Encoding"] = "gzip"
            length = len(body)
        if todo == "long":
            body += b"!"
        else:
            out["Content-Length"] = str(length)
        if method == "HEAD":
            body = b""
        keep = int(todo.partition(":")[2]) if todo.startswith(("drop:", "stall:")) else None
        await self._send(writer, status, out, body if keep is None else body[:keep])
        if todo.startswith("stall:"):
            await asyncio.sleep(3600)

    def _linked(self, path: str) -> dict[str, str]:
        if path not in self.files:
            return {}
        data = self.files[path]
        return {
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Linked-Size": str(len(data)),
        }

    def _listing(self, path: str) -> bytes:
        repo = path.removeprefix("/api/v1/models/").removesuffix("/repo/files")
        prefix = f"/models/{repo}/resolve/"
        files = [
            {
                "Path": name.removeprefix(prefix).partition("/")[2],
                "Size": len(data),
                "Sha256": hashlib.sha256(data).hexdigest(),
            }
            for name, data in self.files.items()
            if name.startswith(prefix)
        ]
        return json.dumps({"Code": 200, "Data": {"Files": files}}).encode()

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        lines = [f"HTTP/1.1 {status} X", "Connection: close", *(f"{k}: {v}" for k, v in headers.items())]
        if "Content-Length" not in headers and not body:
            lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        step = 1 << 16
        for at in range(0, len(body), step):
            writer.write(body[at : at + step])
            await writer.drain()
            if self.rate:
                await asyncio.sleep(step / self.rate)
        await writer.drain()


@contextlib.asynccontextmanager
async def odd_hub() -> AsyncIterator[OddHub]:
    """A hub for the length of a test."""
    hub = OddHub()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(hub.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    hub.port = server.sockets[0].getsockname()[1]
    try:
        yield hub
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
