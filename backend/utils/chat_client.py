"""Asks a chat model over HTTP and reads its answer as it is written. Runs in the service process, on the event loop.

In: an address (`…/v1`), an optional key and the body of `POST /chat/completions` (OpenAI's shape, as Ollama, LM Studio
and llama.cpp serve it). Out: pieces of text. The server is a stranger: every wait has a deadline, bytes, lines and
their number are bounded, nothing is unpacked, no redirect is followed and no proxy of the environment is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError, JobCancelled, ProductError
from backend.utils.guarded_http import tls_context

T = TypeVar("T")

# What a server says about a failure is shown to a person: one short sentence of it.
_SAID_CHARS = 200
_ERROR_BYTES = 8 << 10
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True)
class ChatLimits:
    """Deadlines in seconds and bounds in bytes. Tests shorten them; the product keeps these."""

    connect_s: float = 5.0
    # A server may load gigabytes from a slow disk before the first word, or read a long prompt on an old processor.
    first_piece_s: float = 180.0
    quiet_s: float = 60.0
    total_s: float = 600.0
    # How soon a cancel is noticed.
    poll_s: float = 0.1
    # A piece of three letters travels in 250 bytes: room for the thoughts of a reasoning model and 20,000 characters.
    max_bytes: int = 16 << 20
    max_line_bytes: int = 1 << 20


@dataclass(frozen=True)
class ChatServer:
    """Where to ask. `url` ends with the version (`http://127.0.0.1:11434/v1`); `title` names it to people."""

    url: str
    title: str
    key: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        # Unpacked bytes cannot be bounded by those that arrive, so nothing packed is asked for.
        base = {"Accept-Encoding": "identity", "User-Agent": "All-in-one/1 (script writer)"}
        return {**base, "Authorization": f"Bearer {self.key}"} if self.key else base


@dataclass(frozen=True)
class ChatPiece:
    """Some text of the answer. `is_thought`: of its reasoning, which is nobody's script. `finish`: why it ended."""

    text: str = ""
    is_thought: bool = False
    finish: str | None = None


def failed(detail: str, hint: str) -> EngineFailure:
    return EngineFailure(ErrorCode.SCRIPT_FAILED, detail, hint=hint)


async def until(
    work: Coroutine[Any, Any, T],
    *,
    seconds: float,
    cancelled: Callable[[], bool],
    poll_s: float,
    late: Callable[[], ProductError],
) -> T:
    """Await `work` for so long. Raises `late()`, or JobCancelled within `poll_s` of `cancelled()`."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    ends_at = loop.time() + seconds
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=min(poll_s, max(0.0, ends_at - loop.time())))
            # Also when there is a result: a model that speaks fast would never be interrupted.
            if cancelled():
                raise JobCancelled
            if task.done():
                break
            if loop.time() >= ends_at:
                raise late()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen: whoever was cancelled does not wait for it


def open_client(transport: httpx.AsyncBaseTransport | None, connect_s: float) -> httpx.AsyncClient:
    """A client that goes where it is told and nowhere else. Call `tls_context` in a thread before."""
    return httpx.AsyncClient(
        transport=transport,
        verify=tls_context(),
        trust_env=False,
        follow_redirects=False,
        # Our own deadlines end a read; this one only ends a connect.
        timeout=httpx.Timeout(None, connect=connect_s, pool=connect_s, write=connect_s),
    )


async def read_bounded(response: httpx.Response, limit: int) -> bytes:
    """The body as it came over the wire, at most `limit` bytes of it."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return b"".join(parts)[:limit]


async def stream_chat(
    server: ChatServer,
    body: Mapping[str, Any],
    *,
    limits: ChatLimits | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncGenerator[ChatPiece, None]:
    """The answer, piece by piece; the last one has `finish`. Closing the generator ends the request.

    Raises EngineFailure(`script_failed`), InputError(`script_model_missing`: the server has no such model) or
    JobCancelled.
    """
    limits = limits or ChatLimits()
    await asyncio.to_thread(tls_context)
    ends_at = asyncio.get_running_loop().time() + limits.total_s

    def left(seconds: float) -> float:
        return min(seconds, max(0.0, ends_at - asyncio.get_running_loop().time()))

    def late() -> ProductError:
        return failed(
            f"{server.title} did not answer in time.",
            "Try again when it has loaded its model, choose a smaller model, or ask for a shorter text.",
        )

    async with open_client(transport, limits.connect_s) as client:
        request = client.build_request(
            "POST",
            f"{server.url}/chat/completions",
            json={**body, "stream": True},
            headers={**server.headers(), "Accept": "text/event-stream"},
        )
        try:
            response = await until(
                client.send(request, stream=True),
                seconds=left(limits.first_piece_s),
                cancelled=cancelled,
                poll_s=limits.poll_s,
                late=late,
            )
        except (httpx.HTTPError, OSError) as error:
            raise unreachable(server) from error
        try:
            pieces = _pieces_of(server, response, str(body.get("model", "")), limits)
            async with contextlib.aclosing(pieces):
                wait_s = limits.first_piece_s
                while True:
                    piece = await until(
                        _next(pieces),
                        seconds=left(wait_s),
                        cancelled=cancelled,
                        poll_s=limits.poll_s,
                        late=late,
                    )
                    if piece is None:
                        return
                    wait_s = limits.quiet_s
                    yield piece
                    if piece.finish is not None:
                        return
        except (httpx.HTTPError, OSError) as error:
            raise failed(
                f"{server.title} broke off in the middle of its answer.",
                "Look at its own log, then try again.",
            ) from error
        finally:
            await response.aclose()


async def _next(pieces: AsyncGenerator[ChatPiece, None]) -> ChatPiece | None:
    return await anext(pieces, None)


async def _pieces_of(
    server: ChatServer, response: httpx.Response, model: str, limits: ChatLimits
) -> AsyncGenerator[ChatPiece, None]:
    if response.status_code != httpx.codes.OK:
        raise await _refusal(server, response, model)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise nonsense(server, "it sent a packed answer that nobody asked for")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        # A server that does not stream.
        whole = await read_bounded(response, limits.max_line_bytes)
        message = _first_choice(server, whole).get("message")
        content = message.get("content") if isinstance(message, dict) else None
        yield ChatPiece(content if isinstance(content, str) else "", finish="stop")
        return
    if kind != "text/event-stream":
        raise nonsense(server, "it is no chat model's address")
    async for line in _lines(server, response.aiter_raw(), limits):
        name, _, value = line.partition(b":")
        if name == b"error":
            raise nonsense(server, "it reported an error", said=_said(value, server.key))
        if name != b"data":
            continue  # a comment that keeps the line open, or a field that this protocol does not use
        if value.strip() == b"[DONE]":
            yield ChatPiece(finish="stop")
            return
        for piece in _pieces_in(_first_choice(server, value)):
            yield piece
    raise nonsense(server, "its answer ended in the middle")


def _pieces_in(choice: Mapping[str, Any]) -> list[ChatPiece]:
    delta = choice.get("delta")
    found: list[ChatPiece] = []
    if isinstance(delta, dict):
        # Two names for the same: DeepSeek's and llama.cpp's, and Ollama's.
        for name in ("reasoning_content", "reasoning"):
            if isinstance(delta.get(name), str) and delta[name]:
                found.append(ChatPiece(delta[name], is_thought=True))
        if isinstance(delta.get("content"), str) and delta["content"]:
            found.append(ChatPiece(delta["content"]))
    if isinstance(choice.get("finish_reason"), str):
        found.append(ChatPiece(finish=choice["finish_reason"]))
    return found


async def _lines(
    server: ChatServer, chunks: AsyncIterator[bytes], limits: ChatLimits
) -> AsyncIterator[bytes]:
    """The lines of the stream, without their ends. Raises when one, or all together, are too long."""
    held = b""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        *lines, held = (held + chunk).split(b"\n")
        if size > limits.max_bytes or len(held) > limits.max_line_bytes:
            raise nonsense(server, "its answer does not end")
        for line in lines:
            yield line.rstrip(b"\r")
    if held.strip():
        yield held.rstrip(b"\r")


def _first_choice(server: ChatServer, raw: bytes) -> Mapping[str, Any]:
    """`choices[0]` of a chunk; empty when it has none (usage reports come so)."""
    try:
        chunk = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise nonsense(server, "its answer cannot be read") from error
    if not isinstance(chunk, dict):
        raise nonsense(server, "its answer cannot be read")
    if chunk.get("error"):
        raise nonsense(server, "it reported an error", said=_said(raw, server.key))
    choices = chunk.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return {}


async def _refusal(server: ChatServer, response: httpx.Response, model: str) -> ProductError:
    status = response.status_code
    if 300 <= status < 400:
        return failed(
            f"{server.title} sends on to another address; that is not followed.",
            "Put the final address into SCRIPT_API_URL in .env.",
        )
    if status in {401, 403}:
        # What it says may hold a part of the key.
        return failed(f"{server.title} refused the key.", "Check SCRIPT_API_KEY in .env, then restart.")
    packed = response.headers.get("content-encoding", "identity").lower() != "identity"
    said = "" if packed else _said(await read_bounded(response, _ERROR_BYTES), server.key)
    if status == 404:
        return InputError(
            ErrorCode.SCRIPT_MODEL_MISSING,
            f"{server.title} has no model called {model!r}.{said}",
            hint="Choose one of GET /api/script/models, or load this one into the server.",
        )
    if status == 429:
        return failed(f"{server.title} takes no more requests now.{said}", "Wait a little, then try again.")
    return failed(f"{server.title} failed (status {status}).{said}", "Look at its own log, then try again.")


def unreachable(server: ChatServer) -> EngineFailure:
    return failed(
        f"{server.title} cannot be reached.",
        "Start it, or check SCRIPT_API_URL in .env; GET /api/script/models tells what is there.",
    )


def nonsense(server: ChatServer, why: str, *, said: str = "") -> EngineFailure:
    return failed(
        f"{server.title} did not answer as a chat model does: {why}.{said}",
        "Check that the address is an OpenAI-compatible one (it usually ends with /v1), and look at the server's log.",
    )


def _said(raw: bytes, key: str | None) -> str:
    """` It says: "…"` from `{"error": {"message": …}}`, `{"error": …}` or nothing; never the key."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    if not isinstance(text, str):
        return ""
    if key:
        text = text.replace(key, "***")
    text = _CONTROL.sub(" ", text).strip()
    return f' It says: "{text[:_SAID_CHARS]}"' if text else ""
