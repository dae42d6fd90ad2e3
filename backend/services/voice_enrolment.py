"""A sample becomes a voice: looked at, measured, matched, kept. Runs in the service process.

In: an upload, or the original of a voice that is there. Out: the row of a voice with three files below
`data/uploads`: the original, the reference that engines learn from, and the profile of the fast match.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError, RequestError
from backend.models.file_records import NewFile, NewMatch, NewVoice, VoiceRecord
from backend.models.library import VoiceCloned, VoiceView
from backend.services.catalog import Catalog, stable_seed
from backend.services.file_keeper import OPAQUE, FileKeeper
from backend.services.quiet import QuietTimes
from backend.services.speech_router import SpeechRouter
from backend.services.voice_service import VoiceService
from backend.services.voice_views import notice_of, similarity_view, speaker_of
from backend.services.voice_worker import Matched, VoiceWorker
from backend.storage.store import Store
from backend.utils.ids import new_id
from backend.utils.logger import app_logger
from backend.utils.sniff import sniff_file

# How voice messages of WeChat and QQ begin; no decoder that is shipped reads them.
_SILK_MARKS = (b"#!SILK", b"\x02#!SILK")


def _no_recording(upload: Path) -> InputError:
    """Why a file that is no sound and no video cannot be a sample."""
    with upload.open("rb") as stream:
        head = stream.read(16)
    if not head:
        return InputError(
            ErrorCode.AUDIO_UNREADABLE, "The file is empty.", hint="Upload the recording once more."
        )
    if head.startswith(_SILK_MARKS):
        return InputError(
            ErrorCode.AUDIO_UNREADABLE,
            "This is a SILK voice message of a chat app (WeChat, QQ), which cannot be read.",
            hint="Record the voice again with the phone's voice recorder and upload that file.",
        )
    return InputError(
        ErrorCode.AUDIO_UNREADABLE,
        "That file is not audio or video that can be read.",
        hint="Use a WAV, MP3, M4A, OGG, FLAC, WebM or MP4 file.",
    )


@dataclass(frozen=True)
class _Made:
    """What enrolment makes of a recording; `gender` is a guess from the pitch."""

    report: dict[str, Any]
    reference: NewFile
    match: NewMatch
    gender: str | None


class VoiceEnrolment:
    """Enrols. Whoever waits for it is waited for by background work."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        files: FileKeeper,
        voices: VoiceService,
        worker: VoiceWorker,
        router: SpeechRouter,
        quiet: QuietTimes,
        max_bytes: int,
        on_enrol: Callable[[str], None],
    ) -> None:
        """`on_enrol` hears of a voice whose match may now be refined."""
        self._store = store
        self._catalog = catalog
        self._files = files
        self._voices = voices
        self._worker = worker
        self._router = router
        self._quiet = quiet
        self._max_bytes = max_bytes
        self._on_enrol = on_enrol

    async def clone(
        self, chunks: AsyncIterable[bytes], *, name: str, consent: bool, language: str
    ) -> VoiceCloned:
        """Make a voice of an upload. Raises InputError or EngineFailure when it cannot be one."""
        voice_id = new_id("voice")
        try:
            with self._quiet.busy():
                upload = await self._files.receive(chunks, voice_id, max_bytes=self._max_bytes)
                sniffed = await asyncio.to_thread(sniff_file, upload)
                if sniffed is None or sniffed.kind == "image":
                    raise await asyncio.to_thread(_no_recording, upload)
                made = await self._make(
                    upload, voice_id, language=language, ticket=voice_id, work_dir=upload.parent
                )
                sample = await self._files.keep_upload(
                    upload,
                    "voice",
                    extension=sniffed.extension,
                    media_type=sniffed.media_type,
                    original_name=name,
                )
                record = await self._store.voices.create(
                    NewVoice(
                        voice_id,
                        name or "Voice",
                        engine="builtin",
                        status="ready",
                        sample=sample,
                        language=language,
                        gender=made.gender,
                        consent=self._voices.consent(given=consent),
                        profile=made.report,
                        reference=made.reference,
                        match=made.match,
                    )
                )
        finally:
            await self._files.drop_ticket(voice_id)
        self._on_enrol(voice_id)
        return self._answer(record)

    async def enrol(self, voice_id: str) -> VoiceView:
        """Enrol a voice again from its original, for a better engine or a better match."""
        if not self._voices.is_own(voice_id):
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                "Built-in voices cannot be enrolled.",
                hint="Choose a voice of your own.",
            )
        record = await self._voices.own(voice_id)
        if record.file_id is None:
            raise RequestError(
                ErrorCode.GONE, "The original of this voice is gone.", hint="Upload the sample again."
            )
        original = self._files.path((await self._store.files.get(record.file_id)).rel_path)
        ticket = new_id("file")
        self._on_enrol(voice_id)
        try:
            with self._quiet.busy():
                made = await self._make(
                    original,
                    voice_id,
                    language=record.language or "auto",
                    ticket=ticket,
                    work_dir=self._files.path(f"work/{ticket}"),
                )
                _, freed = await self._store.voices.enrol(
                    voice_id, report=made.report, reference=made.reference, match=made.match
                )
                await self._files.purge(freed)
        finally:
            await self._files.drop_ticket(ticket)
        self._on_enrol(voice_id)
        return await self._voices.get(voice_id)

    async def _make(self, audio: Path, voice_id: str, *, language: str, ticket: str, work_dir: Path) -> _Made:
        enrolled = await self._worker.enrol(audio, ticket=ticket, work_dir=work_dir)
        matched: Matched | None = None
        reason: str | None = None
        try:
            matched = await self._worker.match(
                enrolled.reference,
                language=language,
                ticket=ticket,
                work_dir=work_dir,
                seed=stable_seed(voice_id),
            )
        except EngineFailure as error:
            # The sample is good and stays; a built-in voice speaks, and says so.
            app_logger.warning("%s could not be matched: %s: %s", voice_id, error.code, error.detail)
            reason = error.detail
        reference = await self._files.keep_upload(
            enrolled.reference, "voice", extension="wav", media_type="audio/wav"
        )
        if matched is None:
            return _Made(enrolled.report, reference, NewMatch("failed", reason=reason), None)
        profile = await self._files.keep_upload(matched.profile, "voice", extension="npz", media_type=OPAQUE)
        known = {voice.preset for voice in self._catalog.voices}
        nearest = matched.nearest if matched.nearest in known else None
        match = NewMatch("fast", profile, matched.similarity, nearest)
        return _Made(enrolled.report, reference, match, matched.gender)

    def _answer(self, record: VoiceRecord) -> VoiceCloned:
        return VoiceCloned(
            voice_id=record.voice_id,
            status="ready",
            engine=speaker_of(record, self._router),
            name=record.name,
            notice=notice_of(record, self._router),
            report=dict(record.profile),
            similarity=similarity_view(record.similarity),
        )
