"""The quality report of a video: what was measured of its file when it was finished. Runs in the service process.

In: the finished video with its figures, and the job's history. Out: `report.json` beside the video, and the same on
the wire. Nothing is reckoned afterwards: a video that has no report was made before there were any.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, RequestError
from backend.models.quality import QualityReport, QualityWarning, ReportedAttempt, Unmeasured
from backend.models.records import JobView
from backend.services.engine_router import DRAFT_ENGINES
from backend.services.finish_service import FinishedVideo
from backend.services.job_service import JobService
from backend.services.speech_stage import spoken_by
from backend.services.stage_io import AUDIO_FILE, REPORT_FILE
from backend.utils.clock import Clock, iso_from_ms
from backend.utils.media.loudness import FIGURES, Loudness

# Picture and sound apart by more than this is seen by trained eyes (ITU-R BT.1359: detectable from 45 ms early).
_LENGTHS_DIFFER_S = 0.1
# Speech on the web lies around -16 LUFS, on television at -23; beyond these, people reach for the volume.
_QUIET_LUFS, _LOUD_LUFS = -30.0, -10.0
# Above full scale a player's converter clips.
_CLIPPING_DBTP = 0.0
_MOSTLY_SILENT = 0.5


def quality_report(view: JobView, done: FinishedVideo, clock: Clock) -> QualityReport:
    """The report of a video that was just finished. Raises EngineFailure(no_output): it was never checked."""
    picture, sound = done.info.video, done.info.audio
    if picture is None or sound is None:
        raise EngineFailure(ErrorCode.NO_OUTPUT, "The checked video lacks picture or sound.")
    audio = view.artifact(AUDIO_FILE)
    difference_s = round(picture.duration_s - sound.duration_s, 3)
    loudness = done.loudness
    return QualityReport(
        job_id=view.job.job_id,
        measured_at=iso_from_ms(clock.now_ms()),
        width=picture.width,
        height=picture.height,
        fps=picture.fps,
        frames=picture.frames,
        video_seconds=round(picture.duration_s, 3),
        audio_seconds=round(sound.duration_s, 3),
        length_difference_seconds=difference_s,
        speech_difference_seconds=round(done.info.duration_s - done.speech_s, 3),
        size_bytes=done.size_bytes,
        bitrate_kbps=round(done.size_bytes * 8 / 1000 / done.info.duration_s, 1),
        sha256=done.sha256,
        video_codec=picture.codec,
        audio_codec=sound.codec,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        loudness_lufs=loudness.loudness_lufs,
        loudness_range_lu=loudness.loudness_range_lu,
        true_peak_dbtp=loudness.true_peak_dbtp,
        silence_share=loudness.silence_share,
        unmeasured=[Unmeasured(figure=name, reason=why) for name, why in loudness.unmeasured.items()],
        engine=view.job.selected_engine,
        speech_engine=spoken_by(audio.file if audio else None)[0],
        draft=view.job.selected_engine in DRAFT_ENGINES,
        attempts=[
            ReportedAttempt(stage=hop.stage, engine=hop.engine, outcome=str(hop.outcome), code=hop.error_code)
            for hop in view.attempts
            if hop.outcome is not None
        ],
        warnings=_warnings(view, loudness, difference_s),
    )


def _warnings(view: JobView, loudness: Loudness, difference_s: float) -> list[QualityWarning]:
    level, peak, silence = loudness.loudness_lufs, loudness.true_peak_dbtp, loudness.silence_share
    found: dict[QualityWarning, bool] = {
        "draft": view.job.selected_engine in DRAFT_ENGINES,
        "fallback": view.job.fallback_reason is not None,
        "lengths_differ": abs(difference_s) > _LENGTHS_DIFFER_S,
        "quiet": level is not None and level < _QUIET_LUFS,
        "loud": level is not None and level > _LOUD_LUFS,
        "clipping": peak is not None and peak > _CLIPPING_DBTP,
        "mostly_silent": silence is not None and silence > _MOSTLY_SILENT,
        "not_measured": any(name in loudness.unmeasured for name in FIGURES),
    }
    return [code for code, is_so in found.items() if is_so]


class QualityReports:
    """Reports of finished jobs."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    async def of(self, job_id: str) -> QualityReport:
        """The stored report. Raises `not_ready` when there is none (yet), `gone` when it was deleted."""
        file = await self._jobs.artifact(job_id, REPORT_FILE)
        return await asyncio.to_thread(_read, file.path)


def _read(path: Path) -> QualityReport:
    try:
        return QualityReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise RequestError(
            ErrorCode.GONE, "The report is no longer there.", hint="Retry the job to make it again."
        ) from error
