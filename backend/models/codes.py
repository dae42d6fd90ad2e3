"""The closed vocabularies of the product: statuses, states, stages and error codes.

Source: docs/architecture.md, "One vocabulary". Nothing else may invent a word.
"""

from __future__ import annotations

from enum import Enum


class _Word(str, Enum):
    """A string enum that formats as its value on every supported Python."""

    def __str__(self) -> str:
        return str(self.value)


class JobStatus(_Word):
    """What callers see."""

    QUEUED = "queued"
    PROCESSING = "processing"
    FALLBACK = "fallback"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class JobState(_Word):
    """What the database stores; the status is derived from it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class StageName(_Word):
    """The four stages of a job, in order. Each leaves a durable artifact."""

    SCRIPT = "script"
    SPEECH = "speech"
    VIDEO = "video"
    FINISH = "finish"


STAGE_ORDER = (StageName.SCRIPT, StageName.SPEECH, StageName.VIDEO, StageName.FINISH)


class StageState(_Word):
    """State of one stage of a job."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class ErrorCode(_Word):
    """Every error code the product can answer. Stable: callers switch on it."""

    # requests
    VALIDATION_FAILED = "validation_failed"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    JOB_NOT_FOUND = "job_not_found"
    VOICE_NOT_FOUND = "voice_not_found"
    AVATAR_NOT_FOUND = "avatar_not_found"
    MODEL_NOT_FOUND = "model_not_found"
    NOT_READY = "not_ready"
    GONE = "gone"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    QUEUE_FULL = "queue_full"
    RATE_LIMITED = "rate_limited"
    TOO_LARGE = "too_large"
    # inputs
    AUDIO_UNREADABLE = "audio_unreadable"
    VOICE_TOO_SHORT = "voice_too_short"
    IMAGE_UNREADABLE = "image_unreadable"
    FACE_NOT_FOUND = "face_not_found"
    FACE_TOO_SMALL = "face_too_small"
    FETCH_REFUSED = "fetch_refused"
    FETCH_FAILED = "fetch_failed"
    SCRIPT_MODEL_MISSING = "script_model_missing"
    SCRIPT_FAILED = "script_failed"
    # engines
    ENGINE_NOT_INSTALLED = "engine_not_installed"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    IMPORT_FAILED = "import_failed"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    MODEL_MISSING = "model_missing"
    MODEL_DOWNLOAD = "model_download"
    GPU_OOM = "gpu_oom"
    GPU_FAULT = "gpu_fault"
    GPU_UNSUPPORTED = "gpu_unsupported"
    HOST_OOM = "host_oom"
    WORKER_CRASHED = "worker_crashed"
    WORKER_KILLED = "worker_killed"
    WORKER_LOST = "worker_lost"
    WORKER_HUNG = "worker_hung"
    TIMEOUT = "timeout"
    NO_OUTPUT = "no_output"
    DISK_FULL = "disk_full"
    INTERNAL_ERROR = "internal_error"


# Codes that mean "this input can never work": no retry and no other engine would help.
INPUT_CODES = frozenset(
    {
        ErrorCode.VALIDATION_FAILED,
        ErrorCode.VOICE_NOT_FOUND,
        ErrorCode.AVATAR_NOT_FOUND,
        ErrorCode.AUDIO_UNREADABLE,
        ErrorCode.VOICE_TOO_SHORT,
        ErrorCode.IMAGE_UNREADABLE,
        ErrorCode.FACE_NOT_FOUND,
        ErrorCode.FACE_TOO_SMALL,
        ErrorCode.FETCH_REFUSED,
        ErrorCode.SCRIPT_MODEL_MISSING,
    }
)
