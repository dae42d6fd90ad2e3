"""What stands between the network and the routes: hosts, origins, keys, body sizes, headers. HTTP layer.

Plain ASGI, so that it also covers streams and static files. Methods are on an allow list: whatever is not
known to be safe is guarded (Ray CVE-2025-62593 was a deny list that forgot DELETE).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import problem_response
from backend.api.security_headers import SECURITY_HEADERS
from backend.models.codes import ErrorCode

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# A request without a file: 1 MiB of JSON is a script of 300,000 Chinese characters.
DEFAULT_BODY_BYTES = 1 << 20
# The page asks here whether a key is needed, and logs in here.
OPEN_API_PATHS = frozenset({"/api/session"})
SESSION_COOKIE = "aio_session"
# Room for the multipart frame around an upload.
MULTIPART_OVERHEAD_BYTES = 64 << 10
# A body may take this long, and longer for what has come already at the rate of a bad mobile link. Whoever
# sends a byte now and then (slowloris) holds a connection for half a minute, not for ever.
BODY_GRACE_S = 30.0
BODY_MIN_BYTES_PER_S = 16 << 10


# A Content-Length of more digits passes every limit and need not be turned into a number.
_MAX_LENGTH_DIGITS = 18

# RFC 9110 7.2: uri-host with an optional port, and nothing that only a URL has. Names are ASCII on the wire.
_HOST_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{0,5}))?", re.IGNORECASE | re.ASCII)


def split_host(value: str) -> str | None:
    """The host of a Host header, lower case, without port or brackets; None when malformed."""
    match = _HOST_HEADER.fullmatch(value)
    if match is None or int(match[2] or 0) > 0xFFFF:
        return None
    return match[1].strip("[]").lower()


class HostPolicy:
    """Which Host headers are answered: loopback names, the bound address, and names from settings."""

    def __init__(self, bound_host: str, extra_hosts: tuple[str, ...]) -> None:
        self._names = LOOPBACK_NAMES | {bound_host.lower()} | set(extra_hosts)
        try:
            self._any_address = ip_address(bound_host).is_unspecified
        except ValueError:
            self._any_address = False
        if self._any_address:
            self._names -= {bound_host.lower()}

    def allows(self, header: str, server_address: str | None) -> bool:
        """`server_address` is the local end of the connection: on 0.0.0.0 it is a name of ours too."""
        host = split_host(header)
        if host is None:
            return False
        return host in self._names or (self._any_address and host == server_address)


class KeyPolicy(Protocol):
    """What the guard asks about callers; `services/access.py` answers."""

    @property
    def is_required(self) -> bool: ...

    def accepts_key(self, key: str, caller: str) -> bool: ...

    def accepts_session(self, token: str) -> bool: ...


def may_pass(policy: KeyPolicy, headers: Headers, caller: str) -> bool:
    """Whether the caller shows the key (`Authorization: Bearer`, `X-API-Key`) or the page's cookie.

    `caller` is the network address that it comes from.
    """
    if not policy.is_required:
        return True
    shown = shown_key(headers)
    if shown:
        return policy.accepts_key(shown, caller)
    token = session_token(headers)
    return bool(token) and policy.accepts_session(token)


def shown_key(headers: Headers) -> str:
    """The key of a request, or ""."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def session_token(headers: Headers) -> str:
    """The page's cookie of a request, or ""."""
    return cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE, "")


def is_cross_site(headers: Headers) -> bool:
    """Whether a browser sent this from another site. Programs send neither header and pass."""
    fetch_site = headers.get("sec-fetch-site")
    if fetch_site is not None and fetch_site not in {"same-origin", "none"}:
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    return parts.scheme not in {"http", "https"} or parts.netloc.lower() != headers.get("host", "").lower()


@dataclass(frozen=True)
class _Refusal:
    """Why a request goes no further."""

    code: ErrorCode
    detail: str
    hint: str
    status: HTTPStatus | None = None

    def response(self, headers: Headers, path: str) -> Response:
        return problem_response(
            self.code,
            self.detail,
            status=self.status,
            hint=self.hint,
            language=headers.get("accept-language", ""),
            path=path,
        )


class GuardMiddleware:
    """Refuses a request before any route sees it, and puts the security headers on every answer."""

    def __init__(
        self, app: ASGIApp, *, hosts: HostPolicy, key: KeyPolicy, upload_limits: Mapping[str, int]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._key = key
        self._upload_limits = dict(upload_limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # There is none here, and a handshake passes no guard below: browsers send them to any site.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        guarded_send = _with_security_headers(send)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal.response(headers, scope["path"])(scope, receive, guarded_send)
            return
        limit = self._upload_limits.get(scope["path"], DEFAULT_BODY_BYTES)
        is_upload = headers.get("content-type", "").lower().startswith("multipart/")
        await _BodyLimit(limit, is_upload=is_upload).run(self._app, scope, headers, receive, guarded_send)

    def _refusal(self, scope: Scope, headers: Headers) -> _Refusal | None:
        server = scope.get("server")
        if not self._hosts.allows(headers.get("host", ""), server[0] if server else None):
            return _Refusal(
                ErrorCode.FORBIDDEN_ORIGIN,
                "This service does not answer to that host name.",
                "Open it as http://127.0.0.1, or add the name to ALLOWED_HOSTS in .env.",
            )
        if scope["method"] not in SAFE_METHODS and is_cross_site(headers):
            return _Refusal(
                ErrorCode.FORBIDDEN_ORIGIN,
                "Another site's page tried to use this service.",
                "Use the page that this service serves, or a program that sends no Origin header.",
            )
        if not self._key.is_required and _came_over_the_network(server):
            return _Refusal(
                ErrorCode.FORBIDDEN_ORIGIN,
                "This service was made for this machine alone and asks for no key, but is open to the network.",
                "Set HOST in .env to the address it listens on, or set API_KEY; then start it again.",
            )
        client = scope.get("client")
        caller = client[0] if client else ""
        if _is_guarded(scope["path"]) and not may_pass(self._key, headers, caller):
            return _Refusal(
                ErrorCode.UNAUTHORIZED,
                "A key is needed.",
                "Send it as `Authorization: Bearer <key>`: it is API_KEY in .env, or the key that was shown in "
                "the terminal at the first start.",
            )
        return None


def _came_over_the_network(server: tuple[str, int | None] | None) -> bool:
    """Whether the local end of the connection is an address that other machines can reach.

    So it is when uvicorn was told another --host than HOST says. Names and sockets of files are not addresses.
    """
    try:
        address = ip_address(server[0]) if server else None
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped is not None and not mapped.is_loopback


def _is_guarded(path: str) -> bool:
    """The API and its description want a key; the page itself and /health do not."""
    if path in OPEN_API_PATHS:
        return False
    return path == "/openapi.json" or path == "/api" or path.startswith(("/api/", "/v1/"))


class _BodyLimit:
    """Counts the bytes that really arrive, and how fast; a Content-Length may lie or be missing."""

    def __init__(self, limit: int, *, is_upload: bool) -> None:
        """`limit` in bytes; `is_upload`: a file may be sent here, whose limit is a setting."""
        self._limit = limit
        self._is_upload = is_upload
        self._received = 0
        self._refusal: _Refusal | None = None
        self._answered = False

    async def run(self, app: ASGIApp, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        declared = headers.get("content-length", "")
        # isascii: "²" is a digit to isdigit() and an error to int(). Past 18 digits no number is small.
        is_number = declared.isascii() and declared.isdigit()
        if is_number and (len(declared) > _MAX_LENGTH_DIGITS or int(declared) > self._limit):
            self._refusal = self._too_large()
            await self._answer(scope, headers, receive, send)
            return
        is_coming = declared not in ("", "0") or "transfer-encoding" in headers
        started_s = asyncio.get_running_loop().time()

        async def counted() -> Message:
            nonlocal is_coming
            # After the body, receive() waits for the caller to hang up: as long as that takes.
            message = await (self._in_time(receive, started_s) if is_coming else receive())
            if message["type"] == "http.request":
                is_coming = message.get("more_body", False)
                self._received += len(message.get("body", b""))
                if self._received > self._limit:
                    self._refusal = self._too_large()
            # To the route it looks like a caller that went away, so that it stops reading.
            return message if self._refusal is None else {"type": "http.disconnect"}

        async def answering(message: Message) -> None:
            if self._refusal is not None and not self._answered and message["type"] == "http.response.start":
                await self._answer(scope, headers, receive, send)
            if not self._answered:
                await send(message)

        try:
            await app(scope, counted, answering)
        except Exception:
            if self._refusal is None:
                raise
        if self._refusal is not None and not self._answered:
            await self._answer(scope, headers, receive, send)

    async def _in_time(self, receive: Receive, started_s: float) -> Message:
        loop = asyncio.get_running_loop()
        ends_at = started_s + BODY_GRACE_S + self._received / BODY_MIN_BYTES_PER_S
        try:
            return await asyncio.wait_for(receive(), max(0.0, ends_at - loop.time()))
        except asyncio.TimeoutError:
            self._refusal = _Refusal(
                ErrorCode.TIMEOUT,
                "The request came too slowly.",
                "Send it again over a faster connection.",
                HTTPStatus.REQUEST_TIMEOUT,
            )
            return {"type": "http.disconnect"}

    def _too_large(self) -> _Refusal:
        return _Refusal(
            ErrorCode.TOO_LARGE,
            f"The request is larger than {max(1, self._limit >> 20)} MiB.",
            "Send a smaller file, or raise MAX_IMAGE_MIB or MAX_AUDIO_MIB in .env."
            if self._is_upload
            else "Send less, in several requests if need be.",
        )

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if self._refusal is None:
            return
        self._answered = True
        response = self._refusal.response(headers, scope["path"])
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


# As they stand on the wire; made once, because every answer gets them.
_RAW_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


def _with_security_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            present = {name.lower() for name, _ in given}
            added = [pair for pair in _RAW_SECURITY_HEADERS if pair[0] not in present]
            message = {**message, "headers": [*given, *added]}
        await send(message)

    return wrapped
