"""The quality report of a finished video on the wire, and as it is stored in `report.json`. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.models.codes import ErrorCode, StageName
from backend.models.job import WireModel

QualityWarning = Literal[
    "draft", "fallback", "lengths_differ", "quiet", "loud", "clipping", "mostly_silent", "not_measured"
]


class ReportedAttempt(WireModel):
    """One try of one engine, as far as it says something about the result."""

    stage: StageName
    engine: str
    outcome: str
    code: ErrorCode | None


class Unmeasured(WireModel):
    """A figure that is null, and why."""

    figure: str
    reason: str


class QualityReport(WireModel):
    """Body of `GET /api/jobs/{id}/report`: figures of the file itself, measured when it was finished."""

    job_id: str
    measured_at: str
    width: int
    height: int
    fps: float
    frames: int
    video_seconds: float
    audio_seconds: float
    length_difference_seconds: float
    speech_difference_seconds: float
    size_bytes: int
    bitrate_kbps: float
    sha256: str
    video_codec: str
    audio_codec: str
    sample_rate: int
    channels: int
    loudness_lufs: float | None
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    silence_share: Annotated[float, Field(ge=0, le=1)] | None
    unmeasured: list[Unmeasured]
    engine: str
    speech_engine: str | None
    draft: bool
    attempts: list[ReportedAttempt]
    warnings: list[QualityWarning]
