"""One request straight into an ASGI app: any bytes as target, headers and body, also what no client sends.

httpx tidies a request up before it sends it, and waits for the end of the answer, which an event stream does
not have. This does neither.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

# An answer takes milliseconds; a loaded CI machine gets a lot more.
ANSWER_WITHIN_S = 30.0
HOST = (b"host", b"127.0.0.1:8000")

Message = dict[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@dataclass
class RawAnswer:
    """What came back. `is_whole` is False when the caller hung up first."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False
    error: BaseException | None = None

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    def json(self) -> Any:
        return json.loads(self.body)


def scope_of(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Message:
    """As uvicorn makes it from a request line and its header lines."""
    raw_path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50_000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": unquote(raw_path.decode("ascii", "replace")),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in headers],
        "state": {},
    }


async def call(
    app: App,
    method: str,
    target: bytes | str,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (HOST,),
    body: bytes | Sequence[bytes] = b"",
    hang_up_on: Callable[[RawAnswer], bool] = lambda _answer: False,
) -> RawAnswer:
    """Send one request; hang up as soon as `hang_up_on` (asked after each message) says so."""
    answer = RawAnswer()
    ended = asyncio.Event()
    waiting = [body] if isinstance(body, bytes) else list(body)

    async def receive() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not answer.status, "an answer begins once"
            answer.status = message["status"]
            answer.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            answer.is_whole = not message.get("more_body", False)
        if answer.is_whole or hang_up_on(answer):
            ended.set()

    raw_target = target.encode() if isinstance(target, str) else target
    try:
        await asyncio.wait_for(app(scope_of(method, raw_target, headers), receive, send), ANSWER_WITHIN_S)
    except Exception as error:  # noqa: BLE001 - what the app lets out is the server's to log; tests look at it
        answer.error = error
    return answer
