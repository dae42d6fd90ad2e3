"""Titles, stars, folders, the search for what has them, and how the other pages hear of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.test_events_over_http import parse
from tests.support.studio import Studio, running_studio


async def found(studio: Studio, **params: str) -> tuple[list[str], int]:
    answer = await studio.http.get("/api/jobs", params=params)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    return [job["job_id"] for job in page["data"]], page["total"]


async def changed(studio: Studio, job_id: str, **body: Any) -> dict[str, Any]:
    answer = await studio.http.patch(f"/api/jobs/{job_id}", json=body)
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def test_jobs_are_named_starred_put_into_folders_and_found_by_all_of_it(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        plain = await studio.submit(title="Plain", script_input="今天介绍我们的新产品。")
        other = await studio.submit(voice_id="voice_builtinammichael")
        folder = (await studio.http.post("/api/folders", json={"name": "  June   news "})).json()
        assert folder["folder_id"].startswith("fld_")
        assert (folder["name"], folder["jobs"]) == ("June news", 0)

        view = await changed(studio, plain, starred=True, folder_id=folder["folder_id"], title="ÄRGER 六月")
        assert (view["starred"], view["folder_id"], view["title"]) == (
            True,
            folder["folder_id"],
            "ÄRGER 六月",
        )
        assert (await changed(studio, plain, title="ÄRGER 六月公告"))["starred"] is True, "the rest stays"

        assert await found(studio, starred="true") == ([plain], 1)
        assert await found(studio, starred="false") == ([other], 1)
        assert await found(studio, folder_id=folder["folder_id"]) == ([plain], 1)
        assert await found(studio, folder_id="none") == ([other], 1)
        assert await found(studio, voice_id="voice_builtinammichael") == ([other], 1)
        assert await found(studio, draft="true") == ([], 0)
        for words in ("ärger", "六月公", "新产品", plain, plain[4:10].upper(), "介绍"):
            assert await found(studio, q=words) == ([plain], 1), words
        assert await found(studio, q="Plain") == ([], 0), "the old title is not found any more"
        assert await found(studio, q="ärger", starred="false") == ([], 0)
        assert await found(studio, limit="1") == ([other], 2)

        listed = (await studio.http.get("/api/folders")).json()["data"]
        assert [(one["name"], one["jobs"]) for one in listed] == [("June news", 1)]
        renamed = await studio.http.patch(f"/api/folders/{folder['folder_id']}", json={"name": "七月"})
        assert (renamed.json()["name"], renamed.json()["jobs"]) == ("七月", 1)
        assert (await studio.http.delete(f"/api/folders/{folder['folder_id']}")).status_code == 204
        assert (await studio.view(plain))["folder_id"] is None
        assert await found(studio, folder_id="none") == ([other, plain], 2)


async def test_every_change_reaches_the_other_pages_as_an_event(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        folder = (await studio.http.post("/api/folders", json={"name": "f"})).json()["folder_id"]
        await changed(studio, job_id, title="New", starred=True)
        await changed(studio, job_id, folder_id=folder)
        await studio.http.delete(f"/api/folders/{folder}")
        headers = {"Last-Event-ID": "0"}
        stream = await studio.http.get(f"/api/jobs/{job_id}/events", headers=headers)
        ends = [e["data"]["type"] for e in parse(stream.text) if e["event"] == "job"]
        assert ends[-1] == "completed", "the stream of one job ends with the job"
        last = [e["id"] for e in parse(stream.text) if e["event"] == "job"][-1]
        stream = await studio.http.get(f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": last})
        news = [e["data"] for e in parse(stream.text) if e["event"] == "job"]
        assert [(n["type"], n["title"], n["starred"], n["folder_id"]) for n in news] == [
            ("updated", "New", True, None),
            ("updated", "New", True, folder),
            ("updated", "New", True, None),
        ]
        assert {n["status"] for n in news} == {"completed"}


async def test_what_cannot_be_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        job_id = await studio.submit(title="t")
        for body, field in (
            ({"folder_id": "fld_nonesuch0", "title": "x"}, "folder_id"),
            ({"title": "x" * 201}, "title"),
            ({"title": "a\x00"}, "title"),
            ({"priority": 101, "title": "x"}, "priority"),
            ({}, None),
            ({"title": None}, None),
        ):
            answer = await studio.http.patch(f"/api/jobs/{job_id}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), body
            assert field is None or answer.json()["errors"][0]["field"] == field
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        late = await studio.http.patch(f"/api/jobs/{job_id}", json={"priority": 3, "title": "x"})
        assert late.status_code == 422
        assert (await studio.view(job_id))["title"] == "t"

        await studio.http.post("/api/folders", json={"name": "Taken"})
        for name in ("tAKEN", "ＴＡＫＥＮ", " ", "a\u0007"):
            answer = await studio.http.post("/api/folders", json={"name": name})
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), name
        for method, path in (("PATCH", "fld_nonesuch0"), ("DELETE", "fld_nonesuch0"), ("DELETE", "..")):
            answer = await studio.http.request(method, f"/api/folders/{path}", json={"name": "n"})
            assert answer.status_code in {404, 405}, path


async def test_the_request_of_a_job_makes_the_same_video_again_and_holds_no_webhook(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit(
            title="t", voice_settings={"speed": 1.5}, webhook={"url": "https://example.com/hook?token=secret"}
        )
        await changed(studio, job_id, title="renamed")
        first = await studio.wait_for(job_id)
        body = (await studio.http.get(f"/api/jobs/{job_id}/request")).json()
        assert body["webhook"] is None
        assert (body["title"], body["voice_settings"]["speed"]) == ("renamed", 1.5)
        again = await studio.http.post("/api/jobs", json=body)
        assert again.status_code == 202, again.text
        second = await studio.wait_for(again.json()["job_id"])
        same = ("seed", "script_input", "voice_id", "avatar_url", "output", "title", "requested_engine")
        assert {name: second[name] for name in same} == {name: first[name] for name in same}
        missing = await studio.http.get("/api/jobs/job_nonesuch0/request")
        assert (missing.status_code, missing.json()["code"]) == (404, "job_not_found")
