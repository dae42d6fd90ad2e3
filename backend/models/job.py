"""The job on the wire: what callers send and what they get back. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from backend.models.codes import ErrorCode, JobStatus, StageName, StageState
from backend.models.json_values import check_json, check_text
from backend.models.speakers import SPEAKERS, Speaker, check_pair

# Models of the product document; the old spellings stay valid for ever.
WangpModel = Literal[
    "Wan t2v 1.3B",
    "Wan t2v 14B",
    "Hunyuan Avatar",
    "Wan Multitalk",
    "Fantasy",
    "InfiniteTalk (Wan2GP)",
    "LongCat Avatar 1.5",
]

# How InfiniteTalk weighs quality and time.
Preset = Literal["quality", "balanced", "fast", "turbo"]
DEFAULT_PRESET: Preset = "balanced"

Aspect = Literal["1:1", "16:9", "9:16", "source"]
Subtitles = Literal["file", "burn_in", "none"]

# What a webhook can be told of: the three ends of a job.
WebhookEvent = Literal["job.completed", "job.failed", "job.cancelled"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = ("job.completed", "job.failed", "job.cancelled")

MAX_TITLE_CHARS = 200
MAX_PROMPT_CHARS = 2000
MAX_STYLE_CHARS = 300
MAX_URL_CHARS = 2048
MAX_METADATA_CHARS = 4096
MAX_SEED = 2**31 - 1
# Longer than any id of ours.
MAX_ID_CHARS = 64


class WireModel(BaseModel):
    """Base of everything that crosses HTTP."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=False)


class OutputOptions(WireModel):
    """The shape of the video."""

    aspect: Aspect = "1:1"
    resolution: Literal["512p", "720p"] = "512p"
    subtitles: Subtitles = "file"


class VoiceSettings(WireModel):
    """How the voice reads."""

    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    pause_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    language: Literal["auto", "zh", "en", "ja"] = "auto"
    pitch: Annotated[float, Field(ge=-12.0, le=12.0)] = 0.0


class ScriptSettings(WireModel):
    """What `script_mode: auto` is to write."""

    language: Literal["auto", "zh", "en", "ja"] = "auto"
    seconds: Annotated[int, Field(ge=5, le=600)] = 30
    style: Annotated[str, Field(max_length=MAX_STYLE_CHARS)] = ""


class FallbackOptions(WireModel):
    """Whether another engine may take over."""

    allow: bool = True


class WebhookTarget(WireModel):
    """Where to send word of a job's end, and of which ends."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=len(WEBHOOK_EVENTS))] = Field(
        default_factory=lambda: list(WEBHOOK_EVENTS)
    )


class JobCreate(WireModel):
    """Body of `POST /api/jobs`. The first six fields are the product document's."""

    voice_id: Annotated[str, Field(max_length=64)]
    avatar_url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]
    script_mode: Literal["manual", "auto"] = "manual"
    script_input: str = ""
    preferred_engine: Annotated[str, Field(max_length=32)] = "auto"
    wangp_model: WangpModel | None = None

    preset: Preset = DEFAULT_PRESET
    title: Annotated[str, Field(max_length=MAX_TITLE_CHARS)] = ""
    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] = ""
    output: OutputOptions = Field(default_factory=OutputOptions)
    voice_settings: VoiceSettings = Field(default_factory=VoiceSettings)
    speech_engine: Annotated[str, Field(max_length=32)] = "auto"
    script_settings: ScriptSettings = Field(default_factory=ScriptSettings)
    speakers: Annotated[list[Speaker], Field(max_length=SPEAKERS)] = Field(default_factory=list)
    fallback: FallbackOptions = Field(default_factory=FallbackOptions)
    face_index: Annotated[int, Field(ge=0, le=63)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    metadata: dict[str, Any] = Field(default_factory=dict)
    webhook: WebhookTarget | None = None

    @model_validator(mode="before")
    @classmethod
    def _voice_of_the_first(cls, value: Any) -> Any:
        """Who names two speakers has named their voices; `null` for them means none."""
        if not isinstance(value, dict):
            return value
        if value.get("speakers", ()) is None:
            value = {name: item for name, item in value.items() if name != "speakers"}
        speakers = value.get("speakers")
        if value.get("voice_id") is None and isinstance(speakers, list) and speakers:
            first = speakers[0]
            voice = first.get("voice_id") if isinstance(first, dict) else getattr(first, "voice_id", None)
            return {**value, "voice_id": voice} if voice is not None else value
        return value

    @field_validator("script_mode", mode="before")
    @classmethod
    def _accept_the_alias(cls, value: Any) -> Any:
        """`ai` is what a published page of the product sends for `auto`."""
        return "auto" if value == "ai" else value

    @field_validator("script_input", "title", "prompt", "avatar_url", "speech_engine")
    @classmethod
    def _no_broken_unicode(cls, value: str) -> str:
        return check_text(value)

    @field_validator("speakers")
    @classmethod
    def _none_or_two(cls, value: list[Speaker]) -> list[Speaker]:
        return check_pair(value)

    @field_validator("metadata", mode="before")
    @classmethod
    def _can_be_kept(cls, value: Any) -> Any:
        return check_json(value, what="metadata")

    @field_validator("metadata")
    @classmethod
    def _bounded(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(str(value)) > MAX_METADATA_CHARS:
            raise ValueError(f"metadata may hold at most {MAX_METADATA_CHARS} characters")
        return value

    @model_validator(mode="after")
    def _manual_needs_text(self) -> JobCreate:
        if not self.script_input.strip():
            what = "the text to speak" if self.script_mode == "manual" else "a topic to write about"
            raise ValueError(f"script_input is empty; give {what}")
        return self

    @property
    def voice_ids(self) -> tuple[str, ...]:
        """The voices that speak, in the order of the speakers: one, or two."""
        return tuple(speaker.voice_id for speaker in self.speakers) or (self.voice_id,)


class JobCreated(WireModel):
    """202 answer of `POST /api/jobs`."""

    job_id: str
    selected_engine: str
    status: JobStatus
    queue_position: int | None = None
    retry_of: str | None = None


class StageView(WireModel):
    name: StageName
    status: StageState


class AttemptView(WireModel):
    """One try of one engine."""

    attempt: int
    stage: StageName
    engine: str
    outcome: str
    code: ErrorCode | None = None
    detail: str | None = None
    # What was done with less than was asked for, after a try that ran out of memory.
    change: str | None = None
    # With which InfiniteTalk made, or tried to make, the picture; null for other engines and stages.
    preset: Preset | None = None
    started_at: str
    finished_at: str | None = None


class ErrorView(WireModel):
    code: ErrorCode
    detail: str
    hint: str | None = None


class JobView(WireModel):
    """Body of `GET /api/jobs/{id}`. The first five fields are the product document's."""

    job_id: str
    status: JobStatus
    progress: Annotated[int, Field(ge=0, le=100)]
    message: str
    fallback_reason: str | None
    selected_engine: str
    requested_engine: str
    stage: StageName | None
    stages: list[StageView]
    eta_seconds: float | None
    queue_position: int | None
    attempts: list[AttemptView]
    artifacts: dict[str, str | None]
    draft: bool
    notice: str | None
    notice_codes: list[str]
    title: str
    script_input: str
    voice_id: str
    # Empty unless two people speak.
    speakers: list[Speaker] = Field(default_factory=list)
    avatar_url: str
    voice_settings: VoiceSettings
    output: OutputOptions
    wangp_model: str | None
    preset: Preset
    # Who spoke; null until the speech is there.
    speech_engine: str | None = None
    # What a recogniser heard; null when none listened.
    speech_report: dict[str, Any] | None = None
    seed: int | None
    priority: int
    metadata: dict[str, Any]
    retry_of: str | None
    promoted_from: str | None
    batch_id: str | None
    starred: bool
    folder_id: str | None
    error: ErrorView | None
    created_at: str
    started_at: str | None
    completed_at: str | None


class JobPage(WireModel):
    data: list[JobView]
    has_more: bool
    next_cursor: str | None
    # How many jobs match, on all pages.
    total: int


class RetryRequest(WireModel):
    """Body of `POST /api/jobs/{id}/retry`; all optional."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    start_from: Annotated[Literal["failed_stage", "start"], Field(alias="from")] = "failed_stage"
    engine: Annotated[str, Field(max_length=32)] | None = None


class JobPatch(WireModel):
    """Body of `PATCH /api/jobs/{id}`: what is not there, or null, stays as it is; `folder_id: null` is no folder."""

    priority: Annotated[int, Field(ge=-100, le=100)] | None = None
    title: Annotated[str, Field(max_length=MAX_TITLE_CHARS)] | None = None
    starred: bool | None = None
    folder_id: Annotated[str, Field(max_length=MAX_ID_CHARS)] | None = None

    @field_validator("title")
    @classmethod
    def _no_broken_unicode(cls, value: str | None) -> str | None:
        return value if value is None else check_text(value)

    @model_validator(mode="after")
    def _changes_something(self) -> JobPatch:
        if not self.moves and self.priority is None and self.title is None and self.starred is None:
            raise ValueError("give at least one of priority, title, starred, folder_id")
        return self

    @property
    def moves(self) -> bool:
        """Whether a folder was named, or none."""
        return "folder_id" in self.model_fields_set


class PromoteRequest(WireModel):
    """Body of `POST /api/jobs/{id}/promote`."""

    quality: Literal["fast", "best"]
    engine: Annotated[str, Field(max_length=32)] | None = None
    # Instead of the one that `quality` stands for.
    preset: Preset | None = None
