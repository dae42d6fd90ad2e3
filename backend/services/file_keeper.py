"""From a finished file in a work directory to a durable one with a row-to-be. Runs in the service process."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import Path
from typing import Any

from backend.models.records import FileKind, FileRecord, NewFile
from backend.storage.store import Store
from backend.storage.sweep import unlink_files
from backend.utils.ids import new_id

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".wav": "audio/wav",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
}
# For what was uploaded and is never served as what it claims to be.
OPAQUE = "application/octet-stream"


class FileKeeper:
    """Names, types and durability of the files of jobs and of the library."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def path(self, rel_path: str) -> Path:
        """Where a stored file lies."""
        return self._store.blobs.path_of(rel_path)

    def is_whole(self, file: FileRecord) -> bool:
        """Whether a stored file is on the disk at its length; somebody may have cleaned up by hand. Blocks."""
        path = self.path(file.rel_path)
        return path.is_file() and path.stat().st_size == file.size_bytes

    async def keep(
        self, job_id: str, name: str, source: Path, *, meta: Mapping[str, Any] | None = None
    ) -> NewFile:
        """Move a job's file to `data/outputs/<job_id>/<name>`; its row is written with the stage."""
        blob = await self._store.blobs.adopt(source, f"outputs/{job_id}/{name}")
        return NewFile(new_id("file"), "artifact", blob, _type_of(name), meta=meta or {})

    async def keep_bytes(self, job_id: str, name: str, data: bytes) -> NewFile:
        blob = await self._store.blobs.write_bytes(data, f"outputs/{job_id}/{name}")
        return NewFile(new_id("file"), "artifact", blob, _type_of(name))

    async def keep_upload(
        self, source: Path, kind: FileKind, *, extension: str, media_type: str, original_name: str = ""
    ) -> NewFile:
        """Move a file of the library to `data/uploads/<file_id>.<ext>`."""
        file_id = new_id("file")
        blob = await self._store.blobs.adopt(source, f"uploads/{file_id}.{extension}")
        return NewFile(file_id, kind, blob, media_type, original_name=original_name or None)

    async def discard(self, new: NewFile) -> None:
        """Remove a file that was kept and whose row was not written after all."""
        await self._store.blobs.delete(new.blob.rel_path)

    async def receive(self, chunks: AsyncIterable[bytes], ticket: str, *, max_bytes: int) -> Path:
        """Write an upload into a work directory of its own, under a name of ours; returns the file."""
        rel_path = f"work/{ticket}/upload"
        await self._store.blobs.write_stream(chunks, rel_path, max_bytes=max_bytes)
        return self.path(rel_path)

    async def drop_ticket(self, ticket: str) -> None:
        """Remove the work directory of an upload."""
        await self._store.blobs.delete_tree(f"work/{ticket}")

    async def purge(self, files: Iterable[FileRecord]) -> None:
        """Unlink the bytes of files whose rows were just marked as deleted."""
        await unlink_files(self._store.files, self._store.blobs, tuple(files))


def _type_of(name: str) -> str:
    return MEDIA_TYPES.get(Path(name).suffix, OPAQUE)
