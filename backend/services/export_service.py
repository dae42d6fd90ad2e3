"""Many videos as one ZIP. Runs in the service process.

Everything that can be wrong is found before the first byte: which jobs, which files, how long the archive will be.
Then files are read piece by piece while they are sent; the archive is never on the disk and never in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from backend.models.codes import ErrorCode, JobStatus
from backend.models.errors import RequestError
from backend.models.export import ExportPart, ExportRequest
from backend.models.records import FileRecord, JobView
from backend.services.file_keeper import FileKeeper
from backend.services.job_service import JobService
from backend.services.stage_io import AUDIO_FILE
from backend.utils.clock import Clock
from backend.utils.file_names import safe_stem, unique_stems
from backend.utils.media.mp4 import read_tags
from backend.utils.zip_stream import ZipEntry, zip_length, zip_stream

# Artifacts by part, with the ending that each gets; the video and its provenance are not looked up by name.
_ARTIFACTS: dict[ExportPart, tuple[tuple[str, str], ...]] = {
    "audio": ((AUDIO_FILE, ".wav"),),
    "subtitles": (("subtitles.srt", ".srt"), ("subtitles.vtt", ".vtt")),
    "thumbnail": (("thumbnail.jpg", ".jpg"),),
}
_PROVENANCE_TAG = "©cmt"
# A sentence with more ids is no help.
_NAMED_IDS = 10


@dataclass(frozen=True)
class Export:
    """An archive to be sent: `size_bytes` is exact."""

    file_name: str
    size_bytes: int
    pieces: AsyncIterator[bytes]


class ExportService:
    """One verb: a request becomes a stream."""

    def __init__(self, *, jobs: JobService, files: FileKeeper, clock: Clock) -> None:
        self._jobs = jobs
        self._files = files
        self._clock = clock

    async def open(self, request: ExportRequest) -> Export:
        """The archive of these jobs, in their order; a part that a job does not have is left out.

        Raises `job_not_found`, `gone` (a job or its video was deleted), `not_ready` (a job has no video; or nothing
        at all would be in the archive), each naming the jobs.
        """
        views = await self._views(list(dict.fromkeys(request.job_ids)))
        stems = unique_stems([view.job.title or view.job.job_id for view in views])
        entries = await asyncio.to_thread(
            self._entries, list(zip(views, stems, strict=True)), request.include
        )
        if not entries:
            raise RequestError(
                ErrorCode.NOT_READY,
                "None of these jobs has any of the files that were asked for.",
                hint="Include `video`.",
            )
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, tz=timezone.utc)
        name = stems[0] if len(stems) == 1 else f"videos-{today:%Y%m%d-%H%M%S}"
        return Export(f"{safe_stem(name)}.zip", zip_length(entries), zip_stream(entries))

    async def _views(self, job_ids: Sequence[str]) -> list[JobView]:
        found: list[JobView] = []
        refused: dict[ErrorCode, list[str]] = {}
        for job_id in job_ids:
            try:
                view = await self._jobs.live(job_id)
            except RequestError as error:
                if error.code not in {ErrorCode.JOB_NOT_FOUND, ErrorCode.GONE}:
                    raise
                refused.setdefault(error.code, []).append(job_id)
                continue
            if view.job.status is not JobStatus.COMPLETED:
                refused.setdefault(ErrorCode.NOT_READY, []).append(job_id)
            found.append(view)
        _refuse(refused)
        return found

    def _entries(self, jobs: Sequence[tuple[JobView, str]], include: Sequence[ExportPart]) -> list[ZipEntry]:
        """What the archive holds. Blocks: looks at every file."""
        entries: list[ZipEntry] = []
        gone: list[str] = []
        for view, stem in jobs:
            ended = view.job.finished_at or view.job.updated_at
            modified = datetime.fromtimestamp(ended / 1000, tz=timezone.utc)
            video = next((a.file for a in view.artifacts if a.file.file_id == view.job.result_file_id), None)
            path = self._there(video)
            if path is None or video is None:
                if {"video", "provenance"}.intersection(include):
                    gone.append(view.job.job_id)
                    continue
            else:
                if "video" in include:
                    entries.append(ZipEntry(f"{stem}.mp4", video.size_bytes, path, modified))
                if "provenance" in include and (told := _provenance(path)):
                    entries.append(ZipEntry(f"{stem}.provenance.json", len(told), told, modified))
            for part in dict.fromkeys(include):
                for name, ending in _ARTIFACTS.get(part, ()):
                    artifact = view.artifact(name)
                    file = artifact.file if artifact else None
                    if file is not None and (there := self._there(file)) is not None:
                        entries.append(ZipEntry(f"{stem}{ending}", file.size_bytes, there, modified))
        _refuse({ErrorCode.GONE: gone} if gone else {})
        return entries

    def _there(self, file: FileRecord | None) -> Path | None:
        """Where a file lies that was not deleted and is as long as its row says; a link is none of ours."""
        if file is None or file.deleted_at is not None:
            return None
        try:
            path = self._files.path(file.rel_path)
            found = path.lstat()
        except (FileNotFoundError, RequestError):  # gone by hand, or a link that leads elsewhere
            return None
        is_ours = path.is_file() and not path.is_symlink() and found.st_size == file.size_bytes
        return path if is_ours else None


def _provenance(video: Path) -> bytes | None:
    """What the video says of its own making, as a document; None when it says nothing."""
    try:
        told = json.loads(read_tags(video).get(_PROVENANCE_TAG, ""))
    except ValueError:
        return None
    return (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode()


def _refuse(refused: dict[ErrorCode, list[str]]) -> None:
    sentences = {
        ErrorCode.JOB_NOT_FOUND: ("There is no such job", "List the jobs with GET /api/jobs."),
        ErrorCode.GONE: ("The job or its video was deleted", "Leave it out, or retry the job."),
        ErrorCode.NOT_READY: ("The job has no video", "Wait until it is completed, or leave it out."),
    }
    for code, (sentence, hint) in sentences.items():
        if ids := refused.get(code):
            more = f" and {len(ids) - _NAMED_IDS} more" if len(ids) > _NAMED_IDS else ""
            raise RequestError(code, f"{sentence}: {', '.join(ids[:_NAMED_IDS])}{more}.", hint=hint)
