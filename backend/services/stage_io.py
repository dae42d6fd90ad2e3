"""What goes into a stage of a job and what comes out, and how its durable files are called. Service process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.models.job import JobCreate
from backend.models.records import JobView, NewFile
from backend.services.file_keeper import FileKeeper

Report = Callable[[float | None, str], None]

SCRIPT_FILE = "script.json"
# Roles of a job's inputs: a portrait of the library, and the video that it was taken from.
PORTRAIT_INPUT = "portrait"
REFERENCE_INPUT = "reference"
PORTRAIT_FILE = "portrait.png"
AUDIO_FILE = "audio.wav"
TIMINGS_FILE = "timings.json"
# Of two speakers: each as long as the whole speech, silent while the other one speaks.
TRACK_FILES = ("track_1.wav", "track_2.wav")
SPEECH_REPORT_FILE = "speech_report.json"
SILENT_FILE = "silent.mp4"
RESULT_FILE = "video.mp4"
REPORT_FILE = "report.json"
# In the detail of `script`: a text that a language model wrote, which the job is to be found by.
WRITTEN = "written"


@dataclass(frozen=True)
class StageInput:
    """What every stage gets. `work_dir` is fresh and belongs to this attempt."""

    view: JobView
    request: JobCreate
    attempt: int
    work_dir: Path
    report: Report
    cancelled: Callable[[], bool]


@dataclass(frozen=True)
class StageOutput:
    """Files by artifact name, and what the stage learned."""

    files: tuple[tuple[str, NewFile], ...] = ()
    detail: Mapping[str, Any] | None = None


def artifact_path(files: FileKeeper, view: JobView, name: str) -> Path:
    """Where a file of an earlier stage lies. Raises EngineFailure when there is none."""
    artifact = view.artifact(name)
    if artifact is None:
        raise EngineFailure(
            ErrorCode.INTERNAL_ERROR,
            f"The artifact {name} of an earlier stage is missing.",
            hint="Retry the job from the start.",
        )
    return files.path(artifact.file.rel_path)
