"""Two people speak in one video: over HTTP, with twins in place of the engine processes."""

from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from tests.integration.test_jobs_over_http import RenderingEngine
from tests.support.chat_server import chat_host
from tests.support.studio import Studio, running_studio
from tests.support.twin_speech_engine import TwinSpeechEngine

HEART, MICHAEL = "voice_builtinafheart", "voice_builtinammichael"
SPEAKERS = [{"name": "Anna", "voice_id": HEART}, {"name": "Bo", "voice_id": MICHAEL}]
SCRIPT = "Anna: Good morning, Bo.\nbo： Hello Anna. How are you?\nANNA: Very well, thank you."


def conversation(**changes: Any) -> dict[str, Any]:
    body = {"avatar_url": "avatar_builtinaria", "script_input": SCRIPT, "speakers": SPEAKERS}
    return {**body, **changes}


async def post(studio: Studio, **changes: Any) -> str:
    answer = await studio.http.post("/api/jobs", json=conversation(**changes))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def own_voice(studio: Studio) -> str:
    wav = Path(__file__).resolve().parents[1] / "fixtures" / "voices" / "reader_a.opus"
    answer = await studio.http.post(
        "/api/voice/clone",
        files={"audio_file": ("reader.opus", wav.read_bytes(), "audio/ogg")},
        data={"name": "Reader", "consent": "true"},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["voice_id"])


def samples(path: Path) -> bytes:
    with wave.open(str(path), "rb") as source:
        assert (source.getnchannels(), source.getsampwidth(), source.getframerate()) == (1, 2, 24_000)
        return source.readframes(source.getnframes())


def spoken_texts(requests: list[Any]) -> list[tuple[str, str]]:
    """Voice and text of each speech task."""
    return [
        (str(request.params["voice"]), json.loads(request.inputs["script"].read_text("utf-8"))["text"])
        for request in requests
    ]


class Eavesdropping(RenderingEngine):
    """Renders, and keeps what it was told of the speakers with the sound of their tracks."""

    async def process_job(self, *args: Any, **kwargs: Any) -> str:
        self.told = [
            {**speaker, "sound": samples(speaker["track"])} for speaker in kwargs["settings"]["speakers"]
        ]
        self.whole = samples(kwargs["audio_path"])
        return await super().process_job(*args, **kwargs)


async def test_each_turn_is_spoken_in_its_speakers_voice_and_the_whole_is_one_video(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        seen: list[tuple[str, str]] = []
        do = studio.speech._do

        def watch(request: Any) -> Any:
            if request.task == "speech":
                seen.extend(spoken_texts([request]))
            return do(request)

        studio.speech._do = watch  # type: ignore[method-assign]
        job_id = await post(studio)
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed", view
        assert view["voice_id"] == HEART
        assert view["speakers"] == [{**speaker, "face": None} for speaker in SPEAKERS]
        assert seen == [
            ("af_heart", "Good morning, Bo."),
            ("am_michael", "Hello Anna. How are you?"),
            ("af_heart", "Very well, thank you."),
        ]
        timings = (await studio.http.get(f"/api/jobs/{job_id}/artifacts/timings.json")).json()
        assert [entry["speaker"] for entry in timings["sentences"]] == [0, 1, 0]
        assert [entry["index"] for entry in timings["sentences"]] == [0, 1, 2]
        assert {word["speaker"] for word in timings["sentences"][1]["words"]} == {1}
        assert [speaker["name"] for speaker in timings["speakers"]] == ["Anna", "Bo"]
        starts = [entry["start_s"] for entry in timings["sentences"]]
        ends = [entry["end_s"] for entry in timings["sentences"]]
        assert all(start >= end + 0.299 for start, end in zip(starts[1:], ends[:-1], strict=True))
        subtitles = (await studio.http.get(f"/api/jobs/{job_id}/artifacts/subtitles.srt")).text
        assert "Anna: Good morning, Bo." in subtitles
        assert "Bo: Hello Anna." in subtitles
        drawn = studio.draft.seen[-1]
        assert {"track_1", "track_2"} < set(drawn.inputs)
        assert drawn.params["speakers"] == [{"face": None}, {"face": None}]
        # What is private stays private.
        track = await studio.http.get(f"/api/jobs/{job_id}/artifacts/track_1.wav")
        assert track.json()["code"] == "validation_failed"


async def test_an_engine_gets_a_track_for_each_face_that_is_silent_while_the_other_speaks(
    tmp_path: Path,
) -> None:
    engine = Eavesdropping()
    box = {"x": 0.5, "y": 0.25, "w": 0.25, "h": 0.5}
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        speakers = [{**SPEAKERS[0], "face": box}, SPEAKERS[1]]
        view = await studio.wait_for(await post(studio, speakers=speakers, preferred_engine="my_engine"))
        assert view["status"] == "completed", view
    assert [(one["name"], one["face"]) for one in engine.told] == [("Anna", box), ("Bo", None)]
    first, second = (one["sound"] for one in engine.told)
    assert len(first) == len(second) == len(engine.whole)
    # Added up they are the whole, and never do both speak.
    pairs = zip(memoryview(first).cast("h"), memoryview(second).cast("h"), strict=True)
    joined = memoryview(engine.whole).cast("h")
    assert all(not (a and b) and a + b == both for (a, b), both in zip(pairs, joined, strict=True))
    assert any(first)
    assert any(second)


async def test_with_one_speaker_nothing_is_told_of_two(tmp_path: Path) -> None:
    engine = Eavesdropping()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        job_id = await studio.submit(preferred_engine="my_engine")
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed", view
        assert view["speakers"] == []
    assert engine.told == []


async def test_a_speaker_who_never_speaks_is_told_and_the_video_is_made(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        view = await studio.wait_for(
            await post(studio, script_input="A word of welcome.\nBob: is no speaker.")
        )
        assert view["status"] == "completed", view
        assert "speaker_silent" in view["notice_codes"]
        assert "Bo says nothing" in view["notice"]


@pytest.mark.parametrize(
    ("speakers", "field"),
    [
        (SPEAKERS[:1], "speakers"),
        ([*SPEAKERS, {"name": "C", "voice_id": HEART}], "speakers"),
        ([SPEAKERS[0], {"name": " aNNA ", "voice_id": MICHAEL}], "speakers"),
        ([SPEAKERS[0], {"name": "Ｂｏ：", "voice_id": MICHAEL}], "speakers.1.name"),
        ([SPEAKERS[0], {"name": "B:o", "voice_id": MICHAEL}], "speakers.1.name"),
        ([SPEAKERS[0], {"name": "B\no", "voice_id": MICHAEL}], "speakers.1.name"),
        ([SPEAKERS[0], {"name": "  ", "voice_id": MICHAEL}], "speakers.1.name"),
        ([SPEAKERS[0], {"name": "x" * 33, "voice_id": MICHAEL}], "speakers.1.name"),
        ([SPEAKERS[0], {"name": "Bo"}], "speakers.1.voice_id"),
        ([SPEAKERS[0], {**SPEAKERS[1], "face": {"x": 0.8, "y": 0, "w": 0.5, "h": 1}}], "speakers.1.face"),
        ([SPEAKERS[0], {**SPEAKERS[1], "face": {"x": 0.8, "y": 0, "w": 0, "h": 1}}], "speakers.1.face.w"),
    ],
)
async def test_speakers_that_cannot_be_told_apart_or_placed_are_refused_by_field(
    tmp_path: Path, speakers: list[Any], field: str
) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.post("/api/jobs", json=conversation(speakers=speakers))
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] == "validation_failed"
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_an_unknown_voice_of_either_speaker_is_refused(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for place in (0, 1):
            speakers = [dict(speaker) for speaker in SPEAKERS]
            speakers[place]["voice_id"] = "voice_zzzzzzzz1"
            answer = await studio.http.post("/api/jobs", json=conversation(speakers=speakers))
            assert (answer.status_code, answer.json()["code"]) == (404, "voice_not_found")
        marks = await studio.http.post("/api/jobs", json=conversation(script_input="Anna: …\nBo: !"))
        assert marks.json()["code"] == "validation_failed"


async def test_no_speakers_are_the_request_of_before_there_were_any(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        key = {"Idempotency-Key": "once"}
        body = {"voice_id": HEART, "avatar_url": "avatar_builtinaria", "script_input": "Hello."}
        first = await studio.http.post("/api/jobs", json=body, headers=key)
        for nothing in ([], None):
            again = await studio.http.post("/api/jobs", json={**body, "speakers": nothing}, headers=key)
            assert again.json()["job_id"] == first.json()["job_id"]
            assert again.headers["idempotent-replayed"] == "true"
        other = await studio.http.post("/api/jobs", json=conversation(), headers=key)
        assert other.json()["code"] == "idempotency_conflict"
        missing = await studio.http.post(
            "/api/jobs", json={"avatar_url": "avatar_builtinaria", "script_input": "x"}
        )
        assert [error["field"] for error in missing.json()["errors"]] == ["voice_id"]


async def test_an_own_voice_of_the_second_speaker_is_cloned_and_outlives_its_deletion(tmp_path: Path) -> None:
    engine = TwinSpeechEngine()
    async with running_studio(tmp_path, speech_engines=[engine]) as studio:
        own = await own_voice(studio)
        await studio.http.post("/api/queue/pause", json={})
        job_id = await post(studio, speakers=[SPEAKERS[0], {"name": "Bo", "voice_id": own}])
        assert (await studio.http.delete(f"/api/voices/{own}")).status_code == 204
        await studio.http.post("/api/queue/resume")
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed", view
        assert view["speech_engine"] == "twinclone"
        assert "voice_clone" in view["notice_codes"]
        assert "voice_stand_in" not in view["notice_codes"]
        assert [order.text for order in engine.seen] == ["Hello Anna. How are you?"]
        timings = (await studio.http.get(f"/api/jobs/{job_id}/artifacts/timings.json")).json()
        assert [speaker["engine"] for speaker in timings["speakers"]] == ["builtin", "twinclone"]


async def test_a_retry_of_the_picture_takes_the_tracks_over(tmp_path: Path) -> None:
    engine = Eavesdropping()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        draft = await studio.wait_for(await post(studio))
        spoken = len(studio.speech.seen)
        answer = await studio.http.post(f"/api/jobs/{draft['job_id']}/retry", json={"engine": "my_engine"})
        view = await studio.wait_for(answer.json()["job_id"])
        assert view["status"] == "completed", view
        assert len(studio.speech.seen) == spoken
        assert view["speakers"] == draft["speakers"]
    assert [one["name"] for one in engine.told] == ["Anna", "Bo"]


async def test_a_batch_may_hold_conversations_with_speakers_as_defaults(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        defaults = {"avatar_url": "avatar_builtinaria", "speakers": SPEAKERS}
        items = [{"script_input": SCRIPT}, {"script_input": SCRIPT, "speakers": SPEAKERS[:1]}]
        answer = await studio.http.post("/api/batches", json={"defaults": defaults, "items": items})
        good, bad = answer.json()["items"]
        assert bad["error"]["code"] == "validation_failed"
        assert "speakers" in bad["error"]["detail"]
        assert (await studio.wait_for(good["job_id"]))["status"] == "completed"


async def test_a_model_is_asked_for_a_conversation_and_what_it_writes_is_spoken_in_turns(
    tmp_path: Path,
) -> None:
    answer = "Sure! Here is the dialogue:\n\n**Anna:** Do you like tea, and why?\n**Bo:** I do, it is warm and it is quiet."
    async with (
        chat_host(answer) as host,
        running_studio(tmp_path, script_api_url=host.url) as studio,
    ):
        settings = {"seconds": 5, "language": "en"}
        job_id = await post(studio, script_mode="auto", script_input="tea", script_settings=settings)
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed", view
        script = (await studio.http.get(f"/api/jobs/{job_id}/artifacts/script.json")).json()
        assert script["text"] == "Anna: Do you like tea, and why?\nBo: I do, it is warm and it is quiet."
        timings = (await studio.http.get(f"/api/jobs/{job_id}/artifacts/timings.json")).json()
        assert [entry["speaker"] for entry in timings["sentences"]] == [0, 1]
        order = {"topic": "tea", "seconds": 5, "language": "en", "speakers": ["Anna", "Bo"]}
        written = await studio.http.post("/api/script", json=order)
        assert written.json()["text"] == script["text"]
        for wrong in (["Anna"], ["Anna", "anna"], ["A:", "B"], ["", "B"]):
            refused = await studio.http.post("/api/script", json={**order, "speakers": wrong})
            assert refused.json()["code"] == "validation_failed", wrong


async def test_a_check_of_a_conversation_does_not_read_the_names(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        text = "Anna: It costs 20 dollars.\nBo: Fine."
        for speakers, said in ((["Anna", "Bo"], False), ([], True)):
            answer = await studio.http.post("/api/script/check", json={"text": text, "speakers": speakers})
            assert answer.status_code == 200, answer.text
            sentences = answer.json()["sentences"]
            assert ("Anna" in "".join(sentence["spoken"] for sentence in sentences)) is said
            costs = next(sentence for sentence in sentences if "costs" in sentence["text"])
            assert text[costs["start"] : costs["end"]].endswith("It costs 20 dollars.")


async def test_when_an_engine_fails_all_own_voices_are_spoken_by_the_next_one(tmp_path: Path) -> None:
    engine = TwinSpeechEngine(always=ErrorCode.GPU_UNSUPPORTED)
    async with running_studio(tmp_path, speech_engines=[engine]) as studio:
        first, second = await own_voice(studio), await own_voice(studio)
        speakers = [{"name": "Anna", "voice_id": first}, {"name": "Bo", "voice_id": second}]
        view = await studio.wait_for(await post(studio, speakers=speakers))
        assert view["status"] == "completed", view
        assert view["speech_engine"] == "builtin"
        assert {"voice_match", "voice_fallback"} <= set(view["notice_codes"])
        timings = (await studio.http.get(f"/api/jobs/{view['job_id']}/artifacts/timings.json")).json()
        assert [speaker["engine"] for speaker in timings["speakers"]] == ["builtin", "builtin"]
        # Each by the match of its own voice, from a copy of its own.
        profiles = [
            request.inputs["profile"].parent.name
            for request in studio.speech.seen
            if request.task == "speech" and request.job_id == view["job_id"]
        ]
        assert profiles == ["voice-1", "voice-2", "voice-1"]


async def test_a_cancel_ends_a_conversation_between_two_turns(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.gate.clear()
        job_id = await post(studio)
        while not [request for request in studio.speech.seen if request.task == "speech"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        view = await studio.wait_for(job_id)
        assert view["status"] == "cancelled"
        assert len([request for request in studio.speech.seen if request.task == "speech"]) == 1
