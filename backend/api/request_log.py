"""One line in the log for each request to the API that may change something. HTTP layer.

It stands behind the guard, and names the route and not the address: pages on the net can have a browser send
requests here, and their paths would fill the log. Reading is logged with LOG_LEVEL=DEBUG only, as pages ask often.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.guards import SAFE_METHODS
from backend.utils.logger import app_logger


class RequestLogMiddleware:
    """Logs method, route, status and milliseconds until the answer was sent; nothing of the body or the query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        level = logging.DEBUG if scope.get("method") in SAFE_METHODS else logging.INFO
        if scope["type"] != "http" or not app_logger.isEnabledFor(level):
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.monotonic()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            # Answered further out, with the traceback in the log.
            status = status or HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            # Set by the router where one fits; static files and unknown addresses have none.
            own = getattr(scope.get("route"), "path", None)
            if own is not None:
                took_ms = (time.monotonic() - started) * 1000
                answer = str(int(status)) if status else "no answer"
                route = _from_the_root(own, scope["path"])
                app_logger.log(level, "%s %s %s %.0f ms", scope["method"], route, answer, took_ms)


def _from_the_root(own: str, asked: str) -> str:
    """The route with the prefix of the routers that include it, which it does not know itself.

    A part of a path that is a parameter is one part of the address, so what is left over is the prefix.
    """
    parts = asked.split("/")
    return "/".join(parts[: len(parts) - own.count("/")]) + own
