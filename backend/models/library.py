"""Voices, avatars, engines and the system on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from backend.models.codes import ErrorCode
from backend.models.job import WireModel
from backend.models.json_values import check_name
from backend.models.speakers import FaceBox
from backend.models.system import CpuView, DataView, MemoryView

# A name fits a line of the page, a note a small box.
MAX_VOICE_NAME_CHARS = 100
MAX_VOICE_NOTE_CHARS = 500


class SimilarityView(WireModel):
    """How near a matched voice comes to its sample. Never a promise that it is the same voice.

    `score` is the cosine of two speaker embeddings, -1 to 1, by the named encoder; `badge` puts it in a word.
    """

    score: float
    badge: Literal["close", "fair", "far"]
    stage: Literal["fast", "refined"]
    encoder: str


class MatchView(WireModel):
    """Where the match of a voice of one's own stands. `none`: nothing to match, or not begun."""

    state: Literal["none", "fast", "refining", "refined", "failed"]
    # 0 to 1 while the match is refined, else null.
    progress: float | None = None
    # Why it failed or goes no further, as a sentence.
    reason: str | None = None


class VoiceEngineView(WireModel):
    """An engine that could speak in this voice, best first."""

    engine: str
    label_en: str
    label_zh: str
    is_clone: bool
    ready: bool


class ConsentView(WireModel):
    """What was declared about the speaker's consent, when, and to which wording."""

    given: bool
    at: str
    version: int | None = None


class VoiceCloned(WireModel):
    """Answer of `POST /api/voice/clone`; the first three fields are the product document's."""

    voice_id: str
    status: Literal["ready"]
    engine: str
    name: str
    notice: str | None = None
    report: dict[str, Any] = Field(default_factory=dict)
    similarity: SimilarityView | None = None


class VoiceView(WireModel):
    voice_id: str
    name: str
    name_zh: str
    name_en: str
    language: str
    gender: str | None
    engine: str
    status: str
    builtin: bool
    default: bool
    created_at: str | None = None
    report: dict[str, Any] = Field(default_factory=dict)
    similarity: SimilarityView | None = None
    match: MatchView = Field(default_factory=lambda: MatchView(state="none"))
    engines: list[VoiceEngineView] = Field(default_factory=list)
    notice: str | None = None
    note: str = ""
    consent: ConsentView | None = None
    sample_url: str | None = None
    reference_url: str | None = None


class VoiceList(WireModel):
    data: list[VoiceView]
    has_more: bool
    next_cursor: str | None


class VoicePatch(WireModel):
    """Body of `PATCH /api/voices/{id}`: what is not given stays as it is."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_VOICE_NAME_CHARS)] | None = None
    note: Annotated[str, Field(max_length=MAX_VOICE_NOTE_CHARS)] | None = None
    language: Literal["auto", "zh", "en", "ja"] | None = None
    gender: Literal["female", "male", "unknown"] | None = None
    consent: bool | None = None


class PreviewRequest(WireModel):
    """Body of `POST /api/voices/{id}/preview`; without text a short greeting is spoken."""

    text: str = Field("", max_length=300)
    speed: float = Field(1.0, ge=0.5, le=2.0)
    pitch: float = Field(0.0, ge=-12.0, le=12.0)
    speech_engine: Annotated[str, Field(max_length=32)] = "auto"


class SpeechEngineView(WireModel):
    """An engine of speech. `ready`, `state`, `code`, `reason` and `fix` as of a video engine."""

    name: str
    title_en: str
    title_zh: str
    is_clone: bool
    languages: list[str]
    licence: str
    ready: bool
    state: Literal["READY", "STARTING", "BUSY", "NOT_INSTALLED", "UNAVAILABLE"]
    code: ErrorCode | None
    reason: str | None
    fix: str | None
    disclosure: str | None = None


class SpeechEngineList(WireModel):
    data: list[SpeechEngineView]


class PointView(WireModel):
    """A point as fractions of the picture's width and height."""

    x: float
    y: float


class FaceView(WireModel):
    """A face as fractions of the picture's width and height."""

    x: float
    y: float
    w: float
    h: float
    score: float
    size_px: float
    yaw_deg: float
    marks: list[PointView] = Field(default_factory=list)


class WarningView(WireModel):
    code: str
    message: str


class PortraitFinding(WireModel):
    """A warning with what helps against it."""

    code: str
    message: str
    fix: str


class AvatarView(WireModel):
    avatar_id: str
    name: str
    name_zh: str
    name_en: str
    builtin: bool
    default: bool
    width: int
    height: int
    faces: list[FaceView]
    chosen: int
    warnings: list[WarningView]
    report: list[PortraitFinding]
    crop: FaceBox | None
    # Whether it was taken from a video, which InfiniteTalk then moves.
    video: bool
    image_url: str
    thumbnail_url: str
    original_url: str | None
    created_at: str | None = None


class AvatarPatch(WireModel):
    """Body of `PATCH /api/avatars/{id}`."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_VOICE_NAME_CHARS), AfterValidator(check_name)]


class AvatarList(WireModel):
    data: list[AvatarView]
    has_more: bool
    next_cursor: str | None


class EngineModelView(WireModel):
    """A model that `wangp_model` may name. `missing`: ids of models to download first."""

    name: str
    title: str
    drive: Literal["speech", "text"]
    speakers: int
    ready: bool
    missing: list[str]
    min_vram_mib: int
    licence: str
    licence_url: str


class EngineView(WireModel):
    name: str
    title: str
    kind: Literal["gpu", "cpu", "plugin"]
    ready: bool
    state: Literal["READY", "STARTING", "BUSY", "NOT_INSTALLED", "UNAVAILABLE"]
    code: ErrorCode | None
    reason: str | None
    fix: str | None
    disclosure: str | None = None
    models: list[EngineModelView] = Field(default_factory=list)


class EngineList(WireModel):
    data: list[EngineView]


class HealthView(WireModel):
    ok: Literal[True] = True


class WorkerView(WireModel):
    name: str
    state: str
    pid: int | None
    rss_mib: float | None
    job_id: str | None
    restarts: int


class GpuView(WireModel):
    """One NVIDIA GPU. `engine`: whose worker has a process on it, `task`: what that does; what the driver does not tell
    is null."""

    index: int
    uuid: str
    name: str
    total_mib: int | None
    free_mib: int | None
    utilisation_percent: int | None
    temperature_c: int | None
    compute_capability: str | None
    engine: str | None
    task: str | None
    job_id: str | None


class DiskView(WireModel):
    free_bytes: int
    total_bytes: int


class QueueView(WireModel):
    paused: bool
    queued: int
    running: int
    reason: str | None = None


class PauseRequest(WireModel):
    """Body of `POST /api/queue/pause`."""

    reason: str = Field("", max_length=300)


class LimitsView(WireModel):
    """What the settings allow."""

    max_script_chars: int
    max_image_mib: int
    max_audio_mib: int


class SystemView(WireModel):
    limits: LimitsView
    version: str
    python: str
    platform: str
    cpu_count: int
    cpu: CpuView
    memory: MemoryView
    disk: DiskView
    data: DataView
    queue: QueueView
    workers: list[WorkerView]
    engines: list[EngineView]
    gpus: list[GpuView]
    schema_version: int
    uptime_seconds: float
    first_run: bool


class SessionRequest(WireModel):
    """Body of `POST /api/session`."""

    key: str = Field(max_length=512)


class SessionView(WireModel):
    """Whether callers must show a key."""

    required: bool


class ProblemField(WireModel):
    field: str
    message: str


class Problem(WireModel):
    """RFC 9457 problem details with a stable `code`."""

    type: str
    title: str
    status: int
    code: ErrorCode
    detail: str
    request_id: str
    hint: str | None = None
    errors: list[ProblemField] = Field(default_factory=list)
