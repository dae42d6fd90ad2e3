"""From stored rows to the job on the wire. Pure; runs in the service process."""

from __future__ import annotations

from backend.models.codes import TERMINAL_STATES, ErrorCode, StageName
from backend.models.job import DEFAULT_PRESET, AttemptView, ErrorView, JobView, Preset, StageView
from backend.models.records import AttemptRecord, FileRecord
from backend.models.records import JobView as StoredView
from backend.services.speech_stage import ENGINE_KEY, REPORT_KEY
from backend.services.stage_io import REPORT_FILE
from backend.utils.clock import iso_from_ms

# What callers may download, by the key under `artifacts`. The video itself is `/result`.
ARTIFACT_KEYS = {
    "audio": "audio.wav",
    "timings": "timings.json",
    "speech_report": "speech_report.json",
    "subtitles_srt": "subtitles.srt",
    "subtitles_vtt": "subtitles.vtt",
    "thumbnail": "thumbnail.jpg",
    "script": "script.json",
    "report": REPORT_FILE,
}
# The engine that presets are for.
PRESET_ENGINE = "infinitetalk"
PUBLIC_ARTIFACTS = frozenset(ARTIFACT_KEYS.values())


def wire_view(stored: StoredView) -> JobView:
    """The body of `GET /api/jobs/{id}`."""
    job = stored.job
    # As it was accepted and stored, every field there: checking it again would cost as much as reading it.
    request = job.request
    ended = job.state in TERMINAL_STATES
    base = f"/api/jobs/{job.job_id}"
    video = next((a.file for a in stored.artifacts if a.file.file_id == job.result_file_id), None)
    artifacts: dict[str, str | None] = {"video": f"{base}/result" if _is_there(video) else None}
    for key, name in ARTIFACT_KEYS.items():
        found = stored.artifact(name)
        artifacts[key] = f"{base}/artifacts/{name}" if found and _is_there(found.file) else None
    audio = stored.artifact("audio.wav")
    sound = audio.file.meta if audio else {}
    notices = list((job.notice or {}).get("items", ()))
    error = None
    if job.error_code is not None:
        error = ErrorView(code=job.error_code, detail=job.error_message or "", hint=job.error_hint)
    # Jobs of before there were presets have none.
    preset = request.get("preset", DEFAULT_PRESET)
    return JobView(
        job_id=job.job_id,
        status=job.status,
        progress=job.percent,
        message=job.message,
        fallback_reason=job.fallback_reason,
        selected_engine=job.selected_engine,
        requested_engine=request["preferred_engine"],
        stage=job.stage,
        stages=[StageView(name=stage.name, status=stage.state) for stage in stored.stages],
        eta_seconds=job.eta_s,
        queue_position=stored.queue_position or None,
        attempts=[_attempt_view(hop, preset) for hop in stored.attempts],
        artifacts=artifacts,
        draft=job.draft,
        notice=" ".join(item["message"] for item in notices) or None,
        notice_codes=[item["code"] for item in notices],
        title=job.title,
        script_input=request["script_input"],
        voice_id=request["voice_id"],
        # Not there in a job with one speaker, nor in those of before there were two.
        speakers=request.get("speakers", []),
        avatar_url=request["avatar_url"],
        voice_settings=request["voice_settings"],
        output=request["output"],
        wangp_model=request["wangp_model"],
        preset=preset,
        speech_engine=sound.get(ENGINE_KEY),
        speech_report=sound.get(REPORT_KEY),
        seed=job.seed,
        priority=job.priority,
        metadata=request["metadata"],
        retry_of=job.retry_of,
        promoted_from=job.promoted_from,
        batch_id=job.batch_id,
        starred=job.starred,
        folder_id=job.folder_id,
        error=error,
        created_at=iso_from_ms(job.created_at),
        started_at=iso_from_ms(job.started_at) if job.started_at is not None else None,
        completed_at=iso_from_ms(job.finished_at) if ended and job.finished_at is not None else None,
    )


def _is_there(file: FileRecord | None) -> bool:
    """Whether a file can be downloaded: made, and not given up for its space."""
    return file is not None and file.deleted_at is None


def _attempt_view(hop: AttemptRecord, preset: Preset) -> AttemptView:
    return AttemptView(
        attempt=hop.attempt,
        stage=StageName(hop.stage),
        engine=hop.engine,
        outcome=str(hop.outcome) if hop.outcome is not None else "running",
        code=ErrorCode(hop.error_code) if hop.error_code is not None else None,
        detail=hop.error_message or None,
        change=hop.detail or None,
        preset=preset if (hop.engine, hop.stage) == (PRESET_ENGINE, StageName.VIDEO) else None,
        started_at=iso_from_ms(hop.started_at),
        finished_at=iso_from_ms(hop.finished_at) if hop.finished_at is not None else None,
    )
