"""What a running job looks like so far: the small picture that its engine leaves now and then. Service process.

It lies in the attempt's work directory and dies with it; there is no row, and nothing waits for it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from backend.models.codes import JobState, StageName, StageState
from backend.models.records import JobView

# Where the engine `name` of an attempt works, below the data folder's `work`, and what it calls the picture.
PREVIEW_FILE = "preview.jpg"
# Engines leave some 60 kB; a file that is far larger is no preview.
MAX_PREVIEW_BYTES = 1 << 20
_JPEG = b"\xff\xd8\xff"


def attempt_dir(work_dir: Path, job_id: str, stage: StageName, attempt: int) -> Path:
    """What one attempt at a stage makes, until it is kept or given up."""
    return work_dir / job_id / f"{stage}-{attempt}"


class JobPreviews:
    """Reads the pictures; engines replace them in one step, so a picture is always whole."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir

    async def read(self, view: JobView) -> bytes | None:
        """The JPEG, or None when the job does not make its picture now or its engine has left none yet."""
        job = view.job
        if job.state is not JobState.RUNNING or view.stage(StageName.VIDEO).state is not StageState.RUNNING:
            return None
        folder = attempt_dir(self._work_dir, job.job_id, StageName.VIDEO, job.attempt)
        return await asyncio.to_thread(self._read, folder / job.selected_engine / PREVIEW_FILE)

    def _read(self, path: Path) -> bytes | None:
        try:
            # An engine is foreign code: a link that it left must not lead out of the folder.
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._work_dir.resolve()):
                return None
            with real.open("rb") as source:
                data = source.read(MAX_PREVIEW_BYTES + 1)
        except OSError:
            return None  # not there yet, or gone with its attempt
        return data if data.startswith(_JPEG) and len(data) <= MAX_PREVIEW_BYTES else None
