"""The page at `/` and its files under `/static`. HTTP layer."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

# The page is a few small files on loopback: always asking keeps an updated page from being half old.
_NO_CACHE = {"Cache-Control": "no-cache"}


def install_webui(app: FastAPI, folder: Path) -> None:
    """Serve `folder`: `/` is index.html, `/static/<path>` everything in it."""

    @app.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(folder / "index.html", media_type="text/html", headers=_NO_CACHE)

    @app.get("/favicon.ico", include_in_schema=False)
    def favicon() -> FileResponse:
        return FileResponse(folder / "favicon.svg", media_type="image/svg+xml", headers=_NO_CACHE)

    app.mount("/static", StaticFiles(directory=folder), name="static")
