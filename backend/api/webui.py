"""The page at `/` and its files under `/static`, packed for browsers that can unpack. HTTP layer."""

from __future__ import annotations

import gzip
import os
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

# The page is a few small files on loopback: always asking keeps an updated page from being half old.
_NO_CACHE = {"Cache-Control": "no-cache"}
# Text that shrinks; pictures are packed already.
_PACKABLE = (".css", ".html", ".js", ".json", ".svg")
# Most files of the page are packed once in a run; an edited one is packed anew.
_PACKED_FILES = 256


def install_webui(app: FastAPI, folder: Path) -> None:
    """Serve `folder`: `/` is index.html, `/static/<path>` everything in it."""

    files = PageFiles(directory=folder)
    index_path = folder / "index.html"

    @app.get("/", include_in_schema=False)
    def index(request: Request) -> Response:
        return files.file_response(index_path, index_path.stat(), request.scope)

    @app.get("/favicon.ico", include_in_schema=False)
    def favicon() -> FileResponse:
        return FileResponse(folder / "favicon.svg", media_type="image/svg+xml", headers=_NO_CACHE)

    app.mount("/static", files, name="static")


class PageFiles(StaticFiles):
    """Static files with `ETag` and `Cache-Control: no-cache`, gzipped where the browser takes it."""

    def file_response(
        self,
        full_path: os.PathLike[str] | str,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response: Response = FileResponse(full_path, status_code, stat_result=stat_result)
        path = os.fspath(full_path)
        request = Headers(scope=scope)
        if path.endswith(_PACKABLE):
            response.headers["Vary"] = "Accept-Encoding"
            if _takes_gzip(request):
                response = _packed_response(path, stat_result, response.headers)
        response.headers.update(_NO_CACHE)
        if self.is_not_modified(response.headers, request):
            return NotModifiedResponse(response.headers)
        return response


def _packed_response(path: str, stat_result: os.stat_result, plain: Headers) -> Response:
    """The packed file; its ETag differs from the plain one's, as RFC 9110 8.8.3.3 asks."""
    response = Response(_packed(path, stat_result.st_mtime_ns, stat_result.st_size))
    for name in ("Content-Type", "Last-Modified", "Vary"):
        response.headers[name] = plain[name]
    response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = f'{plain["ETag"][:-1]}-gzip"'
    return response


@lru_cache(maxsize=_PACKED_FILES)
def _packed(path: str, _mtime_ns: int, _size: int) -> bytes:
    """The file's bytes as gzip; time and size are the key, so that an edited file is read anew."""
    return gzip.compress(Path(path).read_bytes(), mtime=0)


def _takes_gzip(request: Headers) -> bool:
    """Whether `Accept-Encoding` names gzip and does not refuse it (RFC 9110 12.5.3)."""
    for offer in request.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = offer.strip().partition(";")
        if name.strip() in {"gzip", "x-gzip"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
