"""Stored files as answers: one file, a part of it, or "you have it already". HTTP layer.

Starlette's FileResponse sends the bytes. What it would refuse in plain text is decided here first: a Range
that is not one is ignored (RFC 9110 14.2 allows it), one that lies outside is 416 in the one shape of errors.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from backend.api.errors import problem_response
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError

# A player asks for one range, a download manager for a few. More is an attack on the disk
# (CVE-2025-62727), and the whole file is the answer.
MAX_RANGES = 16
# Longer than any file position; int() of a longer text would only cost time.
_ONE_RANGE = re.compile(r"\s*(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))\s*", re.ASCII)


def satisfiable_ranges(header: str, size: int) -> list[tuple[int, int]] | None:
    """The ranges (first and last byte) inside a file of `size` bytes; [] when none is; None: ignore the header."""
    unit, equals, text = header.partition("=")
    parts = text.split(",", MAX_RANGES)
    if not equals or unit.strip().lower() != "bytes" or len(parts) > MAX_RANGES:
        return None
    found = []
    for part in parts:
        match = _ONE_RANGE.fullmatch(part)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            begin, end = max(size - int(suffix), 0), size - 1
            is_inside = int(suffix) > 0 and size > 0
        else:
            begin, end = int(first), min(int(last), size - 1) if last else size - 1
            if last and int(last) < begin:
                return None
            is_inside = begin < size
        if is_inside:
            found.append((begin, end))
    return found


class StoredFile(FileResponse):
    """A file whose Range header was understood before Starlette sees it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        asked = headers.get("range")
        if asked is not None and self.stat_result is not None:
            size = self.stat_result.st_size
            ranges = satisfiable_ranges(asked, size)
            if ranges == [] and "if-range" not in headers:
                refusal = problem_response(
                    ErrorCode.VALIDATION_FAILED,
                    "The file is shorter than the range that was asked for.",
                    status=416,
                    hint="Ask for a range inside the file, or for the whole file.",
                    language=headers.get("accept-language", ""),
                )
                refusal.headers["Content-Range"] = f"bytes */{size}"
                await refusal(scope, receive, send)
                return
            scope = {**scope, "headers": _with_range(headers, ranges)}
        await super().__call__(scope, receive, send)


def _with_range(headers: Headers, ranges: list[tuple[int, int]] | None) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers.raw if name != b"range"]
    if ranges:
        kept.append((b"range", f"bytes={','.join(f'{first}-{last}' for first, last in ranges)}".encode()))
    return kept


async def send_file(
    path: Path,
    *,
    media_type: str,
    hint: str,
    headers: Mapping[str, str] | None = None,
    file_name: str | None = None,
    inline: bool = False,
) -> Response:
    """`path` as an answer. Raises `gone` with `hint` when somebody removed the file by hand."""
    try:
        found = await asyncio.to_thread(os.stat, path)
    except FileNotFoundError as error:
        raise RequestError(ErrorCode.GONE, "The file is no longer there.", hint=hint) from error
    return StoredFile(
        path,
        media_type=media_type,
        filename=file_name,
        content_disposition_type="inline" if inline else "attachment",
        headers=headers,
        stat_result=found,
    )


def is_unchanged(request: Request, etag: str) -> bool:
    """RFC 9110 13.1.2: `*` or any listed tag, weak or strong."""
    header = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return header.strip() == "*" or etag in tags
