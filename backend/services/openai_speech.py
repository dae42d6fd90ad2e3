"""Speech in OpenAI's shape: our voices and engines under its names. Runs in the service process.

In: a request of `/v1/audio/speech`. Out: sound that is sent while the rest is still being spoken. A long text is
spoken in pieces that end with a sentence; the first is short, so that a listener does not wait for the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, FieldError, ProductError, RequestError
from backend.models.library import VoiceView
from backend.models.openai import OpenAIModel, OpenAISpeechRequest, OpenAIVoice
from backend.services.catalog import builtin_id
from backend.services.engine_router import AUTO
from backend.services.speech_router import SpeechRouter
from backend.services.voice_service import VoiceService
from backend.services.voice_speaker import VoiceSpeaker
from backend.utils.logger import app_logger
from backend.utils.media.encode import SAMPLE_BYTES, SAMPLE_RATE_HZ, encoded, media_type_of

# Clients that were written for OpenAI name one of its models; here it means: whoever can.
ALIASES = frozenset({"tts-1", "tts-1-hd", "gpt-4o-mini-tts"})
# At the same time; the speech worker has two lanes, the others wait in them.
MAX_REQUESTS = 8
# A first piece is heard within seconds; later ones are longer, because every border costs some melody.
FIRST_CHARS = 120
NEXT_CHARS = 500
# Between two pieces, as between two sentences.
PAUSE_MS = 300
# A piece of 500 characters is two minutes of sound; a slow PC needs as long.
PIECE_DEADLINE_S = 300.0
# The borders where a text may be cut: after a sentence's end and what closes with it. A full stop must be followed
# by a blank, so that no number is cut, and must not belong to the word before it.
_ENDS = re.compile(r"[。！？!?…]+[”’」』）)\"']*\s*|\.+[”’)\"']*\s+|\n+")
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "vs",
        "etc",
        "no",
        "vol",
        "fig",
        "gen",
        "col",
        "sgt",
        "lt",
        "capt",
        "rev",
        "hon",
        "inc",
        "ltd",
        "co",
        "corp",
        "approx",
        "dept",
        "est",
    ]
)
_LAST_WORD = re.compile(r"[^\W_][\w.]*\Z")
# Longer than any word that matters here; keeps the look backwards short.
_WORD_CHARS = 24


@dataclass(frozen=True)
class SpokenStream:
    """An answer that has begun: what it is, who speaks, and its bytes."""

    media_type: str
    engine: str
    chunks: AsyncIterator[bytes]


class OpenAISpeech:
    """Stateless but for a count of those who are served."""

    def __init__(
        self,
        *,
        voices: VoiceService,
        speaker: VoiceSpeaker,
        router: SpeechRouter,
        ffmpeg: Path,
        max_chars: int,
    ) -> None:
        self._voices = voices
        self._speaker = speaker
        self._router = router
        self._ffmpeg = ffmpeg
        self._max_chars = max_chars
        self._served = 0

    # -- lists ---------------------------------------------------------------------------------------
    async def models(self) -> list[OpenAIModel]:
        """`auto` and the speech engines that can work now."""
        ready = [view.name for view in await self._router.views() if view.ready]
        return [OpenAIModel(id=name, created=0, owned_by="all-in-one") for name in (AUTO, *ready)]

    async def model(self, name: str) -> OpenAIModel:
        """One model, also by an alias. Raises `model_not_found`."""
        self._engine(name)
        return OpenAIModel(id=name, created=0, owned_by="all-in-one")

    async def voices(self) -> list[OpenAIVoice]:
        return [
            OpenAIVoice(
                id=view.voice_id,
                name=view.name,
                language=view.language,
                gender=view.gender,
                builtin=view.builtin,
            )
            for view in await self._voices.all()
        ]

    # -- speaking ------------------------------------------------------------------------------------
    async def speak(self, request: OpenAISpeechRequest) -> SpokenStream:
        """Speak the first piece and hand out the whole as it comes.

        Raises RequestError (unknown model or voice, too long, too many at once) and whatever the first piece raises;
        after that an error breaks the answer off.
        """
        engine = self._engine(request.model)
        if len(request.input) > self._max_chars:
            raise _refused("input", f"is longer than {self._max_chars} characters")
        voice_id = await self._voice_id(request.voice)
        if self._served >= MAX_REQUESTS:
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                f"{MAX_REQUESTS} requests for speech are being served already.",
                hint="Try again when one of them has ended.",
            )
        sound = self._sound(request, voice_id, engine)
        first, spoken_by = await sound.__anext__()
        chunks = encoded(self._ffmpeg, request.response_format, _after(first, sound))
        return SpokenStream(media_type_of(request.response_format), spoken_by, _told(chunks))

    async def _sound(
        self, request: OpenAISpeechRequest, voice_id: str, engine: str
    ) -> AsyncIterator[tuple[bytes, str]]:
        """PCM of one piece after the other, and who spoke it."""
        gone = False
        # Counted here: whoever drops the answer, even before its first byte, ends this.
        self._served += 1
        silence = bytes(SAMPLE_RATE_HZ * PAUSE_MS // 1000 * SAMPLE_BYTES)
        try:
            for number, text in enumerate(pieces_of(request.input)):
                async with self._speaker.speaking(
                    voice_id,
                    text,
                    speed=request.speed,
                    pause_ms=PAUSE_MS,
                    speech_engine=engine,
                    deadline_s=PIECE_DEADLINE_S,
                    cancelled=lambda: gone,
                ) as spoken:
                    pcm = await asyncio.to_thread(_pcm, spoken.speech.wav)
                    # The engine that spoke first speaks the rest, so that a fallback does not change the voice.
                    engine = spoken.engine if engine == AUTO and number == 0 else engine
                    name = spoken.engine
                yield (silence + pcm if number else pcm), name
        finally:
            gone = True
            self._served -= 1

    def _engine(self, model: str) -> str:
        if model in ALIASES:
            return AUTO
        if model not in self._router.choices():
            known = ", ".join((*self._router.choices(), *sorted(ALIASES)))
            raise RequestError(
                ErrorCode.MODEL_NOT_FOUND,
                f"There is no model of that name. Known: {known}.",
                hint="List them with GET /v1/models.",
                fields=(FieldError("model", "unknown"),),
            )
        return model

    async def _voice_id(self, asked: str) -> str:
        """The voice of this id, of this preset, or of this display name. Raises `voice_not_found`."""
        views = await self._voices.all()
        ids = {view.voice_id for view in views}
        for voice_id in (asked, builtin_id("voice", asked)):
            if voice_id in ids:
                return voice_id
        wanted = asked.strip().casefold()
        named = [view for view in views if wanted in _names(view)]
        if len(named) == 1:
            return named[0].voice_id
        known = ", ".join(view.voice_id for view in (named or views)[:8])
        why = "Several voices have that name" if named else "There is no voice of that name"
        raise RequestError(
            ErrorCode.VOICE_NOT_FOUND,
            f"{why}. Use an id, such as {known}. OpenAI's own voices do not exist here.",
            hint="List them with GET /v1/voices.",
            fields=(FieldError("voice", "unknown"),),
        )


def _names(view: VoiceView) -> set[str]:
    return {name.casefold() for name in (view.name, view.name_en, view.name_zh)}


def pieces_of(text: str) -> list[str]:
    """The text cut after sentences: first a short piece, then longer ones. Joined they are the text again."""
    sentences, start = [], 0
    for border in _ENDS.finditer(text):
        if border.group().startswith(".") and _is_abbreviated(
            text[max(0, border.start() - _WORD_CHARS) : border.start()]
        ):
            continue
        sentences.append(text[start : border.end()])
        start = border.end()
    sentences.append(text[start:])
    pieces = [""]
    for sentence in sentences:
        limit = NEXT_CHARS if len(pieces) > 1 else FIRST_CHARS
        if pieces[-1].strip() and len(pieces[-1]) + len(sentence) > limit:
            pieces.append("")
        pieces[-1] += sentence
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return pieces


def _is_abbreviated(before: str) -> bool:
    """Whether a full stop after this belongs to its last word: Mr., U.S., J. Smith."""
    match = _LAST_WORD.search(before)
    word = match.group().lower() if match else ""
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or "." in word


async def _told(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except ProductError as error:
        # The status was sent long ago: all that is left is to break off, so that nobody takes it for whole.
        app_logger.warning("an answer in OpenAI's shape broke off: %s", error.detail)
        raise
    finally:
        await _close(chunks)


async def _after(first: bytes, rest: AsyncIterator[tuple[bytes, str]]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for pcm, _ in rest:
            yield pcm
    finally:
        await _close(rest)


async def _close(iterator: AsyncIterator[object]) -> None:
    """Whoever stops reading half-way ends what is behind, now and not when memory is tidied up."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        with contextlib.suppress(RuntimeError):  # it runs just now and ends by itself
            await close()


def _pcm(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (
            1,
            SAMPLE_BYTES,
            SAMPLE_RATE_HZ,
        ):
            raise EngineFailure(ErrorCode.NO_OUTPUT, "The speech engine left sound of another kind.")
        return file.readframes(file.getnframes())


def _refused(field: str, message: str) -> RequestError:
    return RequestError(
        ErrorCode.VALIDATION_FAILED,
        f"The request is not valid. {field}: {message}",
        hint="Send less text at a time, or raise MAX_SCRIPT_CHARS in .env.",
        fields=(FieldError(field, message),),
    )
