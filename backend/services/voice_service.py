"""Voices: built in, or a sample that a person gave. Runs in the service process.

Cloning itself is not part of this release: a sample is checked and kept, and until an engine can clone it
a built-in voice speaks in its place, which every result made so says in its notice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import InputError, RequestError
from backend.models.library import PreviewRequest, VoiceCloned, VoiceView
from backend.models.records import NewVoice, VoiceRecord
from backend.services.catalog import BuiltinVoice, Catalog
from backend.services.file_keeper import FileKeeper
from backend.services.speech_service import PREVIEW_DEADLINE_S, SpeechOrder, SpeechService
from backend.storage.store import Store
from backend.utils.clock import Clock, iso_from_ms
from backend.utils.ids import is_id, new_id
from backend.utils.sniff import sniff_file

GREETINGS = {
    "zh": "你好，这是我的声音。很高兴认识你。",
    "en": "Hello, this is my voice. It is nice to meet you.",
    "ja": "こんにちは。これが私の声です。どうぞよろしく。",
}
NOT_CLONED_NOTICE = (
    "Your voice sample is stored, but this release cannot clone voices yet: a built-in voice speaks instead."
)
# Kana decides for Japanese, Han alone for Chinese; the worker looks again, sentence by sentence.
_KANA = (0x3040, 0x30FF)
_HAN = (0x4E00, 0x9FFF)


@dataclass(frozen=True)
class Speaker:
    """Which preset of the speech worker speaks."""

    preset: str


class VoiceService:
    """The library of voices."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        files: FileKeeper,
        speech: SpeechService,
        clock: Clock,
        cache_dir: Path,
        max_bytes: int,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._files = files
        self._speech = speech
        self._clock = clock
        self._cache_dir = cache_dir
        self._max_bytes = max_bytes
        self._preview_lock = asyncio.Lock()

    async def all(self) -> list[VoiceView]:
        """Built-in voices, then the caller's own, newest first."""
        own = [_own_view(record) for record in await self._store.voices.list_all()]
        return [_builtin_view(voice) for voice in self._catalog.voices] + own

    async def get(self, voice_id: str) -> VoiceView:
        builtin = self._catalog.voice(voice_id)
        return _builtin_view(builtin) if builtin else _own_view(await self._own(voice_id))

    async def _own(self, voice_id: str) -> VoiceRecord:
        if not is_id(voice_id, "voice"):
            raise RequestError(
                ErrorCode.VOICE_NOT_FOUND,
                "There is no such voice.",
                hint="List the voices with GET /api/voices.",
            )
        return await self._store.voices.get(voice_id)

    async def check(self, voice_id: str) -> str | None:
        """Refuse an unknown voice; returns the file id of its sample, if it has one."""
        if self._catalog.voice(voice_id) is not None:
            return None
        return (await self._own(voice_id)).file_id

    async def clone(self, chunks: AsyncIterable[bytes], *, name: str, consent: bool) -> VoiceCloned:
        """Check a sample and keep it, the original beside the extracted speech."""
        voice_id = new_id("voice")
        try:
            upload = await self._files.receive(chunks, voice_id, max_bytes=self._max_bytes)
            sniffed = await asyncio.to_thread(sniff_file, upload)
            if sniffed is None or sniffed.kind == "image":
                raise InputError(
                    ErrorCode.AUDIO_UNREADABLE,
                    "That file is not audio or video that can be read.",
                    hint="Use a WAV, MP3, M4A, OGG, FLAC, WebM or MP4 file.",
                )
            probed = await self._speech.probe(upload, ticket=voice_id, work_dir=upload.parent)
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
                    engine=SpeechService.engine,
                    status="ready",
                    sample=sample,
                    consent={"given": consent, "at": self._clock.now_ms()},
                    profile=probed.report,
                )
            )
        finally:
            await self._files.drop_ticket(voice_id)
        return VoiceCloned(
            voice_id=record.voice_id,
            status="ready",
            engine=record.engine,
            name=record.name,
            notice=NOT_CLONED_NOTICE,
            report=dict(record.profile),
        )

    async def delete(self, voice_id: str) -> None:
        if self._catalog.voice(voice_id) is not None:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                "Built-in voices cannot be deleted.",
                hint="Delete a voice of your own.",
            )
        await self._own(voice_id)
        await self._files.purge(await self._store.voices.delete(voice_id))

    async def speaker(self, voice_id: str, text: str, language: str) -> Speaker:
        """Who speaks for this voice id. Raises `voice_not_found`."""
        builtin = self._catalog.voice(voice_id)
        if builtin is None:
            await self._own(voice_id)
            builtin = self._catalog.default_voice(guess_language(text) if language == "auto" else language)
        return Speaker(builtin.preset)

    def is_own(self, voice_id: str) -> bool:
        """Whether this voice is a person's sample, which a built-in voice stands in for."""
        return self._catalog.voice(voice_id) is None

    async def preview(self, voice_id: str, request: PreviewRequest) -> Path:
        """A WAV of a sentence in this voice; the same sentence is spoken once and kept."""
        voice = self._catalog.voice(voice_id)
        language = voice.language if voice else "en"
        text = request.text.strip() or GREETINGS.get(language, GREETINGS["en"])
        speaker = await self.speaker(voice_id, text, "auto")
        order = SpeechOrder(text, speaker.preset, "auto", request.speed, pause_ms=200)
        digest = hashlib.sha256(repr(order).encode()).hexdigest()[:32]
        target = self._cache_dir / f"{digest}.wav"
        async with self._preview_lock:
            if not await asyncio.to_thread(target.is_file):
                ticket = new_id("file")
                work_dir = self._files.path(f"work/{ticket}")
                try:
                    speech = await self._speech.speak(
                        order,
                        job_id=ticket,
                        attempt=1,
                        work_dir=work_dir,
                        deadline_s=PREVIEW_DEADLINE_S,
                        report=lambda _fraction, _message: None,
                        cancelled=lambda: False,
                    )
                    await asyncio.to_thread(_keep_preview, speech.wav, target)
                finally:
                    await self._files.drop_ticket(ticket)
        return target


# Previews kept; the oldest go first. At 150 kB each they stay below 30 MB.
MAX_PREVIEWS = 200


def _keep_preview(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    kept = sorted(target.parent.glob("*.wav"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-MAX_PREVIEWS]:
        old.unlink(missing_ok=True)


def guess_language(text: str) -> str:
    """`ja` with any kana, `zh` with any Han character, else `en`."""
    points = [ord(char) for char in text]
    if any(_KANA[0] <= point <= _KANA[1] for point in points):
        return "ja"
    return "zh" if any(_HAN[0] <= point <= _HAN[1] for point in points) else "en"


def _builtin_view(voice: BuiltinVoice) -> VoiceView:
    return VoiceView(
        voice_id=voice.voice_id,
        name=voice.name_en,
        name_zh=voice.name_zh,
        name_en=voice.name_en,
        language=voice.language,
        gender=voice.gender,
        engine=SpeechService.engine,
        status="ready",
        builtin=True,
        default=voice.is_default,
    )


def _own_view(record: VoiceRecord) -> VoiceView:
    return VoiceView(
        voice_id=record.voice_id,
        name=record.name,
        name_zh=record.name,
        name_en=record.name,
        language=record.language or "auto",
        gender=record.gender,
        engine=record.engine,
        status=record.status,
        builtin=False,
        default=False,
        created_at=iso_from_ms(record.created_at),
        report=dict(record.profile),
    )
