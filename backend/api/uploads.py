"""An uploaded file as a stream of chunks, so that services never see FastAPI. HTTP layer."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import UploadFile

CHUNK_BYTES = 1 << 20


async def chunks_of(upload: UploadFile) -> AsyncIterator[bytes]:
    """The upload in pieces of at most 1 MiB; Starlette has spooled it to a temporary file."""
    while chunk := await upload.read(CHUNK_BYTES):
        yield chunk
