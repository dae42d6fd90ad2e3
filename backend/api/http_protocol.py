"""uvicorn's HTTP/1.1 connection with a deadline for the request head. HTTP layer.

The guard sees a request only when its head is whole. Before that, a caller may send one byte a minute and hold
a connection for ever (slowloris), and what is no HTTP at all would be answered in plain text. Pass this class to
`uvicorn.Config(http=...)`; without it everything works, only those two promises are not kept.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend.api.errors import problem_response
from backend.models.codes import ErrorCode

# From the first byte of a connection, or of a further request on it, to the end of the head. Browsers
# open connections ahead of need and may use them some seconds later; nobody takes half a minute.
HEAD_DEADLINE_S = 30.0


class HttpProtocol(H11Protocol):
    """One connection."""

    _head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_between_requests = self.conn.their_state is h11.IDLE
        if not is_between_requests or self.transport.is_closing():
            self._disarm()
        elif self._head_deadline is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._head_deadline = self.loop.call_later(HEAD_DEADLINE_S, self._give_up)

    def _disarm(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _give_up(self) -> None:
        self._head_deadline = None
        if not self.transport.is_closing():
            self._refuse(ErrorCode.TIMEOUT, 408, "The request came too slowly.")

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or has a head beyond the limit of h11."""
        self._refuse(ErrorCode.VALIDATION_FAILED, 400, "That is not a request this service can read.")

    def _refuse(self, code: ErrorCode, status: int, detail: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # An answer is on its way already; what follows it on this connection is broken.
            self.transport.close()
            return
        response = problem_response(code, detail, status=status, hint="Send it again as HTTP/1.1.")
        headers = [*response.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
