"""The log names what was asked to change and how it ended, and nothing that the caller wrote."""

from __future__ import annotations

import logging
import re

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse, Response

from backend.api.request_log import RequestLogMiddleware


def make_app() -> FastAPI:
    app = FastAPI()

    things = APIRouter(prefix="/things")

    @things.post("/{thing_id}", status_code=202)
    async def change(thing_id: str) -> dict[str, str]:
        return {"id": thing_id}

    @things.get("")
    async def read() -> Response:
        return PlainTextResponse("here")

    @app.delete("/api/things")
    async def fail() -> None:
        raise RuntimeError("a defect")

    app.include_router(things, prefix="/api")
    app.add_middleware(RequestLogMiddleware)
    return app


async def ask(method: str, path: str) -> None:
    transport = httpx.ASGITransport(make_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.request(method, path)


@pytest.mark.parametrize(
    ("level", "method", "path", "line"),
    [
        (logging.INFO, "POST", "/api/things/secret-id?key=k", r"POST /api/things/{thing_id} 202 \d+ ms"),
        (logging.INFO, "DELETE", "/api/things", r"DELETE /api/things 500 \d+ ms"),
        (logging.INFO, "GET", "/api/things", None),
        (logging.INFO, "POST", "/a-path-of-somebody-elses", None),
        (logging.DEBUG, "GET", "/api/things", r"GET /api/things 200 \d+ ms"),
        (logging.WARNING, "POST", "/api/things/one", None),
    ],
)
async def test_a_request_is_one_line_of_its_route_status_and_time(
    caplog: pytest.LogCaptureFixture, level: int, method: str, path: str, line: str | None
) -> None:
    caplog.set_level(level, logger="allinone.app")
    await ask(method, path)
    lines = [record.getMessage() for record in caplog.records if record.name == "allinone.app"]
    if line is None:
        assert lines == []
        return
    assert len(lines) == 1
    pattern = line.replace("{", r"\{").replace("}", r"\}")
    assert re.fullmatch(pattern, lines[0]), lines
