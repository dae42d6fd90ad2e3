"""Voices and avatars over HTTP, with twins in place of the engine processes."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.ids import ID_PATTERN
from tests.support.studio import Studio, running_studio
from tests.support.twin_worker import write_tone


def png(width: int = 8, height: int = 8) -> bytes:
    """A valid grey PNG, made by hand (ISO/IEC 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress((b"\x00" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tone(tmp_path: Path) -> bytes:
    path = tmp_path / "tone.wav"
    write_tone(path, 1.0)
    return path.read_bytes()


async def upload_avatar(studio: Studio, data: bytes, name: str = "me.png") -> dict[str, object]:
    answer = await studio.http.post("/api/avatars", files={"image_file": (name, data, "image/png")})
    assert answer.status_code == 201, answer.text
    body: dict[str, object] = answer.json()
    return body


async def test_a_voice_sample_is_checked_and_stored_in_the_documents_shape(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        sample = tone(tmp_path)
        answer = await studio.http.post(
            "/api/voice/clone",
            files={"audio_file": ("../../我的 声音.wav", sample, "audio/wav")},
            data={"name": "我", "consent": "true"},
        )
        assert answer.status_code == 200
        body = answer.json()
        assert {"voice_id", "status", "engine"} <= set(body)
        assert ID_PATTERN.match(body["voice_id"])
        assert body["status"] == "ready"
        stored = list(studio.settings.uploads_dir.iterdir())
        assert len(stored) == 3, "the original, the reference and the match"
        assert all(path.name.startswith("file_") for path in stored), "never a client's name"
        assert hashlib.sha256(sample).digest() in {
            hashlib.sha256(path.read_bytes()).digest() for path in stored
        }
        view = (await studio.http.get(f"/api/voices/{body['voice_id']}")).json()
        assert (view["name"], view["builtin"], view["status"]) == ("我", False, "ready")

        job = await studio.wait_for(await studio.submit(voice_id=body["voice_id"]))
        assert job["status"] == "completed"
        assert "not a clone" in job["notice"], "a match is never passed off as a clone"
        assert job["notice_codes"] == ["draft", "voice_match"]

        assert (await studio.http.delete(f"/api/voices/{body['voice_id']}")).status_code == 204
        assert not list(studio.settings.uploads_dir.iterdir())
        gone = await studio.http.get(f"/api/voices/{body['voice_id']}")
        assert (gone.status_code, gone.json()["code"]) == (404, "voice_not_found")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"), (b"hello", "not audio"), (b"#EXTM3U\nfile:///etc/passwd\n", "not audio"), (b"<svg/>", "not audio"),
        (png(), "not audio"), (b"\x02#!SILK_V3" + bytes(40), "WeChat"),
    ],
)  # fmt: skip
async def test_what_is_not_audio_is_refused_and_leaves_nothing(
    tmp_path: Path, data: bytes, said: str
) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.post(
            "/api/voice/clone", files={"audio_file": ("a.wav", data, "audio/wav")}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "audio_unreadable")
        assert said in answer.json()["detail"]
        assert answer.json()["hint"]
        assert not list(studio.settings.uploads_dir.iterdir())
        assert not list(studio.settings.work_dir.iterdir())


async def test_a_sample_that_is_too_short_is_refused_by_the_probe(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.fail_next(
            EngineFailure(ErrorCode.VOICE_TOO_SHORT, "Only 1 s of speech.", hint="Give 3 s.")
        )
        files = {"audio_file": ("a.wav", tone(tmp_path), "audio/wav")}
        answer = await studio.http.post("/api/voice/clone", files=files)
        assert (answer.status_code, answer.json()["code"]) == (422, "voice_too_short")
        assert (await studio.http.get("/api/voices")).json()["data"][-1]["builtin"] is True


async def test_built_in_voices_have_ids_like_any_other_and_one_default_per_language(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        voices = (await studio.http.get("/api/voices")).json()["data"]
        assert all(ID_PATTERN.match(voice["voice_id"]) for voice in voices)
        languages = {voice["language"] for voice in voices}
        assert {"zh", "en"} <= languages
        for language in languages:
            assert sum(v["default"] for v in voices if v["language"] == language) == 1
        answer = await studio.http.delete(f"/api/voices/{voices[0]['voice_id']}")
        assert answer.json()["code"] == "validation_failed"


async def test_a_preview_is_spoken_once_and_then_kept(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for _ in range(2):
            answer = await studio.http.post(
                "/api/voices/voice_builtinafheart/preview", json={"text": "Hello"}
            )
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "audio/wav"
            assert answer.content[:4] == b"RIFF"
        assert len(studio.speech.seen) == 1
        assert (await studio.http.post("/api/voices/voice_builtinafheart/preview")).status_code == 200
        unknown = await studio.http.post("/api/voices/voice_zzzzzzzz1/preview")
        assert unknown.json()["code"] == "voice_not_found"


async def test_an_avatar_is_looked_at_stored_and_used(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        avatar = await upload_avatar(studio, png())
        assert ID_PATTERN.match(str(avatar["avatar_id"]))
        assert len(avatar["faces"]) == 1  # type: ignore[arg-type]
        for key in ("image_url", "thumbnail_url"):
            answer = await studio.http.get(str(avatar[key]))
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("image/")
        listed = (await studio.http.get("/api/avatars")).json()["data"]
        assert [a["builtin"] for a in listed].count(False) == 1
        job = await studio.wait_for(await studio.submit(avatar_url=avatar["avatar_id"]))
        assert job["status"] == "completed"
        assert (await studio.http.delete(f"/api/avatars/{avatar['avatar_id']}")).status_code == 204
        assert (await studio.http.get(f"/api/avatars/{avatar['avatar_id']}")).status_code == 404
        assert not list(studio.settings.uploads_dir.iterdir())


@pytest.mark.parametrize(
    "code", [ErrorCode.FACE_NOT_FOUND, ErrorCode.FACE_TOO_SMALL, ErrorCode.IMAGE_UNREADABLE]
)
async def test_a_portrait_that_cannot_be_used_says_why(tmp_path: Path, code: ErrorCode) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.fail_next(EngineFailure(code, "No.", hint="Use another picture."))
        answer = await studio.http.post("/api/avatars", files={"image_file": ("a.png", png(), "image/png")})
        assert (answer.status_code, answer.json()["code"]) == (422, code.value)
        assert not list(studio.settings.uploads_dir.iterdir())


@pytest.mark.parametrize(
    "data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html></html>", b"MZ\x90"]
)
async def test_what_is_not_a_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.post("/api/avatars", files={"image_file": ("a.png", data, "image/png")})
        assert (answer.status_code, answer.json()["code"]) == (422, "image_unreadable")


async def test_an_upload_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with running_studio(tmp_path, max_image_mib=1) as studio:
        data = png() + b"\x00" * (1 << 20)
        answer = await studio.http.post("/api/avatars", files={"image_file": ("a.png", data, "image/png")})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert not list(studio.settings.work_dir.iterdir())


@pytest.mark.parametrize("spelling", ["{name}", "data/uploads/{name}", "uploads/{name}", "{absolute}"])
async def test_a_picture_put_into_uploads_by_hand_may_be_named_by_its_path(
    tmp_path: Path, spelling: str
) -> None:
    async with running_studio(tmp_path) as studio:
        path = studio.settings.uploads_dir / "我的 照片.png"
        path.write_bytes(png())
        avatar_url = spelling.format(name=path.name, absolute=path)
        job = await studio.wait_for(await studio.submit(avatar_url=avatar_url))
        assert job["status"] == "completed"
        assert path.is_file()


async def test_a_link_out_of_uploads_is_refused(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        (tmp_path / "secret.png").write_bytes(png())
        (studio.settings.uploads_dir / "link.png").symlink_to(tmp_path / "secret.png")
        answer = await studio.http.post(
            "/api/jobs",
            json={"voice_id": "voice_builtinafheart", "avatar_url": "link.png", "script_input": "Hi"},
        )
        assert answer.json()["code"] == "fetch_refused"


async def test_a_part_of_a_picture_becomes_a_portrait_and_another_part_can_be_chosen(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        files = {"image_file": ("me.png", png(), "image/png")}
        answer = await studio.http.post("/api/avatars", files=files, data={"crop": "0.1,0.2,0.5,0.6"})
        assert answer.status_code == 201, answer.text
        first = answer.json()
        assert first["crop"] == {"x": 0.1, "y": 0.2, "w": 0.5, "h": 0.6}
        assert studio.draft.seen[-1].params == {"crop": first["crop"]}
        original = await studio.http.get(first["original_url"])
        assert (original.status_code, original.content) == (200, png())

        box = {"x": 0.0, "y": 0.0, "w": 1.0, "h": 0.5}
        again = await studio.http.post(f"/api/avatars/{first['avatar_id']}/crop", json=box)
        assert again.status_code == 201, again.text
        second = again.json()
        assert second["avatar_id"] != first["avatar_id"]
        assert again.headers["location"] == f"/api/avatars/{second['avatar_id']}"
        assert (second["crop"], second["name"]) == (box, "me.png")
        assert await studio.http.delete(f"/api/avatars/{first['avatar_id']}")
        assert (await studio.http.get(second["original_url"])).content == png(), (
            "each keeps a picture of its own"
        )
        whole = await upload_avatar(studio, png())
        assert whole["crop"] is None
        assert (await studio.http.get(str(whole["original_url"]))).content == png()


@pytest.mark.parametrize(
    "crop", ["1,2", "a,b,c,d", "0,0,0,1", "0.5,0,0.6,1", "nan,0,1,1", "-0.1,0,1,1", ",,,"]
)
async def test_a_part_that_is_none_is_refused_before_the_picture_is_kept(tmp_path: Path, crop: str) -> None:
    async with running_studio(tmp_path) as studio:
        files = {"image_file": ("me.png", png(), "image/png")}
        answer = await studio.http.post("/api/avatars", files=files, data={"crop": crop})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "crop")
        assert not studio.draft.seen
        assert not list(studio.settings.uploads_dir.iterdir())


async def test_a_picture_that_somebody_removed_cannot_be_cut_again(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        avatar = await upload_avatar(studio, png())
        for path in studio.settings.uploads_dir.iterdir():
            path.unlink()
        box = {"x": 0, "y": 0, "w": 1, "h": 1}
        gone = await studio.http.post(f"/api/avatars/{avatar['avatar_id']}/crop", json=box)
        assert (gone.status_code, gone.json()["code"]) == (410, "gone")
        unknown = await studio.http.post("/api/avatars/avatar_zzzzzzzz1/crop", json=box)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "avatar_not_found")
        assert not list(studio.settings.work_dir.iterdir())


async def test_a_portrait_of_ones_own_is_renamed_and_a_built_in_one_is_not(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        avatar = await upload_avatar(studio, png())
        path = f"/api/avatars/{avatar['avatar_id']}"
        renamed = await studio.http.patch(path, json={"name": "  主播   小美 "})
        assert (renamed.status_code, renamed.json()["name"]) == (200, "主播 小美")
        assert (await studio.http.get(path)).json()["name_zh"] == "主播 小美"
        for name in ("", " ", "a\u0000b", "x" * 101):
            assert (await studio.http.patch(path, json={"name": name})).status_code == 422
        builtin = await studio.http.patch("/api/avatars/avatar_builtinaria", json={"name": "x"})
        assert (builtin.status_code, builtin.json()["code"]) == (422, "validation_failed")


async def test_what_the_finder_saw_comes_with_what_helps(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.portrait_warnings = [{"code": "dark", "message": "The face is very dark."}]
        avatar = await upload_avatar(studio, png())
        view = (await studio.http.get(f"/api/avatars/{avatar['avatar_id']}")).json()
        (found,) = view["report"]
        assert (found["code"], found["message"]) == ("dark", "The face is very dark.")
        assert "light" in found["fix"]


async def test_voices_and_portraits_come_in_pages_too(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for name in ("a", "b"):
            files = {"image_file": (f"{name}.png", png(), "image/png")}
            assert (await studio.http.post("/api/avatars", files=files)).status_code == 201
        for path, key in (("/api/voices", "voice_id"), ("/api/avatars", "avatar_id")):
            whole = (await studio.http.get(path)).json()
            assert (whole["has_more"], whole["next_cursor"]) == (False, None)
            told, cursor = [], ""
            while cursor is not None:
                page = (await studio.http.get(path, params={"limit": 3, "cursor": cursor})).json()
                assert page["has_more"] is (page["next_cursor"] is not None)
                told += page["data"]
                cursor = page["next_cursor"]
            assert told == whole["data"]
            assert len({one[key] for one in told}) == len(told) > 3
            for query in ({"limit": 0}, {"limit": 501}, {"cursor": "x"}):
                refused = await studio.http.get(path, params=query)
                assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
                assert refused.json()["hint"]
