"""Speech in OpenAI's shape: which voice is meant, how a text is cut, and that sound is sent while more is spoken."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, RequestError
from backend.models.openai import OpenAISpeechRequest
from backend.services import openai_speech
from backend.services.openai_speech import OpenAISpeech, pieces_of
from backend.utils.media.ffmpeg import locate_ffmpeg

LONG = " ".join(f"This is sentence number {n}, and it is not a short one at all." for n in range(40))


def voice(voice_id: str, name: str, name_zh: str = "") -> Any:
    return SimpleNamespace(
        voice_id=voice_id,
        name=name,
        name_en=name,
        name_zh=name_zh or name,
        language="en",
        gender=None,
        builtin=True,
    )


VOICES = [
    voice("voice_builtinafheart", "Heart", "小心"),
    voice("voice_aaaaaaaa", "My voice"),
    voice("voice_bbbbbbbb", "Twin"),
    voice("voice_cccccccc", "twin"),
]


class FakeSpeaker:
    """Speaks a second of sound for each piece; `gate` holds pieces after the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[tuple[str, str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail_at = -1
        self.open_now = 0

    @contextlib.asynccontextmanager
    async def speaking(
        self, voice_id: str, text: str, *, speech_engine: str, **options: Any
    ) -> AsyncIterator[Any]:
        number = len(self.said)
        self.said.append((voice_id, text, speech_engine))
        self.open_now += 1
        try:
            if number:
                await self.gate.wait()
            if number == self.fail_at:
                raise EngineFailure(ErrorCode.WORKER_CRASHED, "The engine died.")
            path = self.folder / f"{number}.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(24_000)
                file.writeframes(b"\x01\x02" * 24_000)
            yield SimpleNamespace(speech=SimpleNamespace(wav=path), engine="builtin")
        finally:
            self.open_now -= 1


class FakeVoices:
    async def all(self) -> list[Any]:
        return VOICES


class FakeRouter:
    def choices(self) -> tuple[str, ...]:
        return ("auto", "moss_nano", "builtin")


@pytest.fixture
def speaker(tmp_path: Path) -> FakeSpeaker:
    return FakeSpeaker(tmp_path)


def service(speaker: FakeSpeaker) -> OpenAISpeech:
    return OpenAISpeech(
        voices=FakeVoices(),  # type: ignore[arg-type]
        speaker=speaker,  # type: ignore[arg-type]
        router=FakeRouter(),  # type: ignore[arg-type]
        ffmpeg=locate_ffmpeg(),
        max_chars=5000,
    )


def asked(**changes: Any) -> OpenAISpeechRequest:
    body = {"model": "tts-1", "input": "Hello.", "voice": "voice_builtinafheart", "response_format": "pcm"}
    return OpenAISpeechRequest.model_validate({**body, **changes})


@pytest.mark.parametrize(
    ("name", "voice_id"),
    [
        ("voice_builtinafheart", "voice_builtinafheart"),
        ("af_heart", "voice_builtinafheart"),
        ("Heart", "voice_builtinafheart"),
        ("heart ", "voice_builtinafheart"),
        ("小心", "voice_builtinafheart"),
        ("MY VOICE", "voice_aaaaaaaa"),
    ],
)
async def test_a_voice_is_known_by_id_by_preset_and_by_name(
    speaker: FakeSpeaker, name: str, voice_id: str
) -> None:
    await service(speaker).speak(asked(voice=name))
    assert speaker.said[0][0] == voice_id


@pytest.mark.parametrize("name", ["alloy", "nova", "nobody", "../x", "voice_zzzzzzzz"])
async def test_an_unknown_voice_is_refused_and_some_are_named(speaker: FakeSpeaker, name: str) -> None:
    with pytest.raises(RequestError) as caught:
        await service(speaker).speak(asked(voice=name))
    assert caught.value.code is ErrorCode.VOICE_NOT_FOUND
    assert "voice_builtinafheart" in caught.value.detail
    assert speaker.said == []


async def test_a_name_that_two_voices_have_is_not_guessed(speaker: FakeSpeaker) -> None:
    with pytest.raises(RequestError, match="Several") as caught:
        await service(speaker).speak(asked(voice="Twin"))
    assert "voice_bbbbbbbb, voice_cccccccc" in caught.value.detail


@pytest.mark.parametrize(
    ("model", "engine"), [("tts-1", "auto"), ("gpt-4o-mini-tts", "auto"), ("moss_nano", "moss_nano")]
)
async def test_a_model_is_an_engine_or_one_of_openais_names(
    speaker: FakeSpeaker, model: str, engine: str
) -> None:
    await service(speaker).speak(asked(model=model))
    assert speaker.said[0][2] == engine


async def test_an_unknown_model_is_refused(speaker: FakeSpeaker) -> None:
    with pytest.raises(RequestError) as caught:
        await service(speaker).speak(asked(model="gpt-5"))
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


async def test_a_text_beyond_the_limit_is_refused(speaker: FakeSpeaker) -> None:
    with pytest.raises(RequestError, match="5000"):
        await service(speaker).speak(asked(input="a" * 5001))


async def test_the_first_sound_is_sent_before_the_second_is_spoken(speaker: FakeSpeaker) -> None:
    speaker.gate.clear()
    spoken = await service(speaker).speak(asked(input=LONG))
    first = await spoken.chunks.__anext__()
    assert len(first) == 48_000
    assert len(speaker.said) == 1
    speaker.gate.set()
    rest = [chunk async for chunk in spoken.chunks]
    assert len(rest) == len(speaker.said) - 1 > 1
    assert "".join(text for _, text, _ in speaker.said) == LONG
    # A pause before each piece but the first.
    assert {len(chunk) for chunk in rest} == {48_000 + 14_400}
    assert {engine for _, _, engine in speaker.said[1:]} == {"builtin"}, "who spoke first speaks the rest"


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_an_error_half_way_breaks_the_answer_off(speaker: FakeSpeaker, name: str) -> None:
    speaker.fail_at = 1
    spoken = await service(speaker).speak(asked(input=LONG, response_format=name))
    with pytest.raises(EngineFailure, match="died"):
        async for _ in spoken.chunks:
            pass


@pytest.mark.parametrize("name", ["mp3", "pcm"])
async def test_whoever_hangs_up_ends_the_speaking(speaker: FakeSpeaker, name: str) -> None:
    made = service(speaker)
    speaker.gate.clear()
    spoken = await made.speak(asked(input=LONG, response_format=name))

    async def listen() -> None:
        async for _ in spoken.chunks:
            pass

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.2)
    assert speaker.open_now == 1
    task.cancel()
    await asyncio.wait({task})
    assert speaker.open_now == 0
    assert len(speaker.said) == 2
    assert made._served == 0


async def test_an_answer_that_nobody_reads_is_not_counted_for_ever(speaker: FakeSpeaker) -> None:
    made = service(speaker)
    spoken = await made.speak(asked(input=LONG))
    assert made._served == 1
    del spoken
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0)
    assert made._served == 0


async def test_so_many_are_served_at_once(speaker: FakeSpeaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_speech, "MAX_REQUESTS", 2)
    made = service(speaker)
    held = [await made.speak(asked(input=LONG)) for _ in range(2)]
    with pytest.raises(RequestError) as caught:
        await made.speak(asked())
    assert caught.value.code is ErrorCode.RATE_LIMITED
    async for _ in held[0].chunks:
        pass
    await made.speak(asked())


def test_no_cut_goes_through_a_number_or_an_abbreviation() -> None:
    text = (
        "Version 3.14 of it costs 1.5 million. Mr. Smith of the U.S. Army and J. Doe paid 2.50 for it. " * 8
    )
    for piece in pieces_of(text):
        assert piece.strip()[0] in "VM"
        assert piece.strip().endswith(("million.", "for it."))


@pytest.mark.parametrize("end", ["looked up.", "it is 5.", "go!", 'he said so."', "in 1999.", "OK?"])
def test_a_sentence_that_ends_with_a_short_word_is_an_end(end: str) -> None:
    sentence = f"Nobody who was still waiting in the large room of the old station {end}"
    pieces = pieces_of(" ".join([sentence] * 30))
    assert pieces[0].strip() == sentence
    assert max(map(len, pieces)) <= openai_speech.NEXT_CHARS


def test_chinese_is_cut_after_its_own_marks() -> None:
    text = "今天的天气很好，我们去公园散步吧。你觉得怎么样？“当然可以！”他说。" * 12
    pieces = pieces_of(text)
    assert len(pieces) > 1
    assert all(piece.endswith(("。", "？", "！”")) for piece in pieces)
    assert len(pieces[0]) <= openai_speech.FIRST_CHARS


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab 1.。!?？\n“”)…，"), max_size=1500))
def test_pieces_are_the_text_again(text: str) -> None:
    pieces = pieces_of(text)
    assert "".join(pieces) == text
    if text.strip():
        assert all(piece.strip() for piece in pieces)
