"""The life of a voice of one's own: enrolled, matched, refined, changed, heard, enrolled again, deleted."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services import quiet, voice_refiner
from tests.support.studio import WAIT_S, Studio, running_studio
from tests.support.twin_speech_engine import TwinSpeechEngine
from tests.support.twin_worker import write_tone


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quiet is reached at once and pauses are short: what is tested is the order, not the waiting."""
    monkeypatch.setattr(quiet, "SETTLE_S", 0.05)
    monkeypatch.setattr(voice_refiner, "RETRY_S", 0.05)


async def clone(studio: Studio, folder: Path, **data: str) -> dict[str, Any]:
    sample = folder / "sample.wav"
    write_tone(sample, 1.0)
    answer = await studio.http.post(
        "/api/voice/clone", files={"audio_file": ("me.wav", sample.read_bytes(), "audio/wav")}, data=data
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def voice(studio: Studio, voice_id: str) -> dict[str, Any]:
    answer = await studio.http.get(f"/api/voices/{voice_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def until_match(studio: Studio, voice_id: str, state: str) -> dict[str, Any]:
    give_up_at = time.monotonic() + WAIT_S
    while (view := await voice(studio, voice_id))["match"]["state"] != state:
        assert time.monotonic() < give_up_at, view
        await asyncio.sleep(0.02)
    return view


def tasks(studio: Studio) -> list[str]:
    return [f"{task.task} {task.params.get('mode', '')}".strip() for task in studio.speech.seen]


async def test_a_voice_is_matched_at_once_and_refined_when_nobody_works(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        body = await clone(studio, tmp_path, name="Mia", consent="true", language="en")
        assert body["similarity"] == {"score": 0.71, "badge": "fair", "stage": "fast", "encoder": "twin"}
        assert body["engine"] == "builtin"
        assert body["notice"].startswith("Voice match (approximate)")
        assert "not a clone" in body["notice"]
        assert body["report"]["used_s"] == 4.0
        view = await until_match(studio, body["voice_id"], "refined")
        assert view["similarity"] == {"score": 0.78, "badge": "close", "stage": "refined", "encoder": "twin"}
        assert (view["language"], view["gender"], view["consent"]["given"]) == ("en", "male", True)
        assert view["consent"]["version"] == 1
        assert tasks(studio) == ["voice_enrol", "voice_match fast", "voice_match refine"]
        assert studio.speech.seen[-1].is_background
        assert len(list(studio.settings.uploads_dir.iterdir())) == 3, "the fast profile made room"


async def test_a_match_that_fails_leaves_a_voice_and_says_so(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.fail_next(None, EngineFailure(ErrorCode.WORKER_CRASHED, "It crashed."))
        body = await clone(studio, tmp_path)
        assert (body["status"], body["similarity"]) == ("ready", None)
        assert body["notice"].startswith("A built-in voice speaks instead")
        view = await voice(studio, body["voice_id"])
        assert view["match"] == {"state": "failed", "progress": None, "reason": "It crashed."}
        job = await studio.wait_for(await studio.submit(voice_id=body["voice_id"]))
        assert job["notice_codes"] == ["draft", "voice_stand_in"]
        assert "profile" not in studio.speech.seen[-1].inputs

        again = await studio.http.post(f"/api/voices/{body['voice_id']}/enrol")
        assert again.json()["match"]["state"] == "fast"
        await until_match(studio, body["voice_id"], "refined")


async def test_a_refinement_gives_way_to_people_and_is_taken_up_again(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.gate_of["refine"].clear()
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        give_up_at = time.monotonic() + WAIT_S
        # First "refining" alone, then with what the worker reported.
        while (view := await voice(studio, voice_id))["match"]["progress"] != 0.5:
            assert time.monotonic() < give_up_at, view
            await asyncio.sleep(0.02)
        assert view["match"]["state"] == "refining"
        assert view["similarity"]["stage"] == "fast", "what speaks now"
        answer = await studio.http.post(f"/api/voices/{voice_id}/preview", json={"text": "Hello"})
        assert answer.status_code == 200
        job = await studio.wait_for(await studio.submit(voice_id=voice_id))
        assert job["status"] == "completed"
        # A preview by a twin may be over before the refinement looks; a job is not.
        assert studio.speech.gave_way >= 1
        studio.speech.gate_of["refine"].set()
        await until_match(studio, voice_id, "refined")


async def test_a_refinement_under_way_is_taken_up_by_the_next_start(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.gate_of["refine"].clear()
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        await until_match(studio, voice_id, "refining")
    async with running_studio(tmp_path) as studio:
        await until_match(studio, voice_id, "refined")
        assert tasks(studio) == ["voice_match refine"]


async def test_a_refinement_that_always_fails_is_given_up_and_the_fast_match_stays(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        failures = [EngineFailure(ErrorCode.WORKER_CRASHED, "It crashed.") for _ in range(9)]
        studio.speech.fail_next(None, None, *failures)
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        give_up_at = time.monotonic() + WAIT_S
        while (view := await voice(studio, voice_id))["match"]["reason"] is None:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.02)
        assert view["match"]["state"] == "fast"
        assert view["match"]["reason"] == "It could not be refined after 3 tries: It crashed."
        assert tasks(studio).count("voice_match refine") == 3
        await asyncio.sleep(0.3)
        assert tasks(studio).count("voice_match refine") == 3, "not begun for ever"


async def test_a_refinement_that_is_no_better_changes_nothing_that_is_heard(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.refined_score = 0.6
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        view = await until_match(studio, voice_id, "refined")
        assert view["similarity"]["score"] == 0.71
        profiles = list(studio.settings.uploads_dir.glob("*.npz"))
        assert [path.read_bytes() for path in profiles] == [b"twin profile fast"]


async def test_what_is_known_of_a_voice_is_changed_piece_by_piece(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        url = f"/api/voices/{voice_id}"
        assert (await voice(studio, voice_id))["consent"]["given"] is False
        changed = (
            await studio.http.patch(url, json={"name": "奶奶", "note": "phone", "consent": True})
        ).json()
        assert (changed["name"], changed["name_zh"], changed["note"]) == ("奶奶", "奶奶", "phone")
        assert changed["consent"]["given"] is True
        assert changed["language"] == "auto"
        changed = (await studio.http.patch(url, json={"language": "zh", "gender": "female"})).json()
        assert (changed["name"], changed["language"], changed["gender"]) == ("奶奶", "zh", "female")
        for body in ({"name": ""}, {"name": "x" * 101}, {"gender": "robot"}, {"language": "fr"}):
            assert (await studio.http.patch(url, json=body)).json()["code"] == "validation_failed"


async def test_recordings_are_sent_whole_and_in_parts_and_never_as_a_page(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        view = await voice(studio, (await clone(studio, tmp_path))["voice_id"])
        original = (tmp_path / "sample.wav").read_bytes()
        sample = await studio.http.get(view["sample_url"])
        assert sample.content == original
        assert sample.headers["content-type"] == "application/octet-stream"
        assert sample.headers["content-disposition"].startswith("attachment")
        reference = await studio.http.get(view["reference_url"], headers={"Range": "bytes=0-3"})
        assert (reference.status_code, reference.content) == (206, b"RIFF")
        assert reference.headers["content-type"] == "audio/wav"
        assert "no-store" in reference.headers["cache-control"]
        beyond = await studio.http.get(view["reference_url"], headers={"Range": "bytes=999999999-"})
        assert beyond.status_code == 416


async def test_built_in_voices_have_no_recording_and_cannot_be_changed(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        base = "/api/voices/voice_builtinafheart"
        view = (await studio.http.get(base)).json()
        assert (view["sample_url"], view["consent"], view["match"]["state"]) == (None, None, "none")
        assert [engine["engine"] for engine in view["engines"]] == ["builtin"]
        for method, path in (
            ("PATCH", base),
            ("DELETE", base),
            ("POST", f"{base}/enrol"),
            ("GET", f"{base}/sample"),
            ("GET", f"{base}/reference"),
        ):
            answer = await studio.http.request(method, path, json={} if method == "PATCH" else None)
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), path
            unknown = await studio.http.request(
                method, path.replace("builtinafheart", "zzzzzzzz1"), json={} if method == "PATCH" else None
            )
            assert unknown.json()["code"] == "voice_not_found", path


async def test_a_deleted_voice_leaves_nothing_but_what_its_running_job_needs(tmp_path: Path) -> None:
    engine = TwinSpeechEngine()
    async with running_studio(tmp_path, speech_engines=[engine]) as studio:
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        await until_match(studio, voice_id, "refined")
        assert (await studio.http.post(f"/api/voices/{voice_id}/preview")).status_code == 200
        previews = studio.settings.cache_dir / "previews"
        assert len(list(previews.iterdir())) == 1
        await studio.http.post("/api/queue/pause")
        job = await studio.submit(voice_id=voice_id)
        assert (await studio.http.delete(f"/api/voices/{voice_id}")).status_code == 204
        assert not list(previews.iterdir())
        assert len(list(studio.settings.uploads_dir.iterdir())) == 3, "the job still needs them"
        await studio.http.post("/api/queue/resume")
        view = await studio.wait_for(job)
        assert (view["status"], view["speech_engine"]) == ("completed", "twinclone")
        refused = await studio.http.post("/api/jobs", json={**view, "preferred_engine": "auto"})
        assert refused.json()["code"] == "voice_not_found"


async def test_a_voice_is_deleted_while_it_is_refined(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.gate_of["refine"].clear()
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        await until_match(studio, voice_id, "refining")
        assert (await studio.http.delete(f"/api/voices/{voice_id}")).status_code == 204
        assert not list(studio.settings.uploads_dir.iterdir())
        give_up_at = time.monotonic() + WAIT_S
        while studio.speech.gave_way == 0:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.02)
        assert (await studio.http.get("/health")).status_code == 200


async def test_the_disk_ledger_counts_what_voices_take(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await clone(studio, tmp_path)
        kinds = {kind["kind"]: kind for kind in (await studio.http.get("/api/system/disk")).json()["kinds"]}
        assert kinds["voices"]["count"] == 3
        assert kinds["uploads"]["count"] == 0
