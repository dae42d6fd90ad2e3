"""What the store returns of files, and of the voices, avatars and workers beside the jobs.

Runs in the service process; no I/O. Times end in `_at` and are ms since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FileKind = Literal["upload", "voice", "avatar", "artifact", "preview"]
VoiceStatus = Literal["processing", "ready", "failed"]
# What is done of a voice's match; that one is being refined is never stored.
MatchState = Literal["none", "fast", "refined", "failed"]


@dataclass(frozen=True)
class StoredBlob:
    """Bytes that are durable on disk: path below data/ with forward slashes, size, hash in hex."""

    rel_path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class NewFile:
    """A file row to be written. `original_name` is for display only and never names anything on disk."""

    file_id: str
    kind: FileKind
    blob: StoredBlob
    media_type: str
    original_name: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FileRecord:
    """One file of the store. `deleted_at`: no longer served; `purged_at`: the bytes are gone too."""

    file_id: str
    kind: FileKind
    rel_path: str
    size_bytes: int
    sha256: str
    media_type: str
    original_name: str | None
    meta: Mapping[str, Any]
    created_at: int
    deleted_at: int | None
    purged_at: int | None


@dataclass(frozen=True)
class NewMatch:
    """What enrolment made of a sample. `profile` is there when `state` is fast or refined.

    `nearest_preset`: the built-in voice that stands in without a profile. `similarity`: score, encoder, stage.
    """

    state: MatchState
    profile: NewFile | None = None
    similarity: Mapping[str, Any] | None = None
    nearest_preset: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class NewVoice:
    """A voice to be stored with its sample, and with what enrolment made of it."""

    voice_id: str
    name: str
    engine: str
    status: VoiceStatus
    sample: NewFile | None = None
    language: str | None = None
    gender: str | None = None
    consent: Mapping[str, Any] | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)
    reference: NewFile | None = None
    match: NewMatch = field(default_factory=lambda: NewMatch("none"))


@dataclass(frozen=True)
class VoiceRecord:
    """A voice that a user gave. `consent` is what was declared at upload, if anything; `profile` the report.

    `match_tries` counts the refinements that were begun and not given back.
    """

    voice_id: str
    name: str
    file_id: str | None
    engine: str
    status: VoiceStatus
    language: str | None
    gender: str | None
    consent: Mapping[str, Any] | None
    profile: Mapping[str, Any]
    created_at: int
    deleted_at: int | None
    reference_file_id: str | None = None
    profile_file_id: str | None = None
    note: str = ""
    nearest_preset: str | None = None
    match_state: MatchState = "none"
    match_tries: int = 0
    match_reason: str | None = None
    similarity: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NewAvatar:
    """A portrait to be stored: the picture made ready for engines, its thumbnail, and the original."""

    avatar_id: str
    name: str
    picture: NewFile
    thumbnail: NewFile | None = None
    source: NewFile | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AvatarRecord:
    """A portrait of the library. `profile` holds faces and warnings."""

    avatar_id: str
    name: str
    file_id: str
    thumbnail_file_id: str | None
    source_file_id: str | None
    profile: Mapping[str, Any]
    created_at: int
    deleted_at: int | None


@dataclass(frozen=True)
class WorkerRecord:
    """A worker process as noted for the sweep after a crash: pid and its start time identify it."""

    worker_id: str
    boot_id: str
    engine: str
    pid: int
    pid_started: str
    command: str
    started_at: int
