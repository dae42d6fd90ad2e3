"""Drafts: what is typed survives a reload, and two pages do not overwrite each other."""

from __future__ import annotations

import json
from pathlib import Path

from backend.storage.drafts import MAX_DRAFTS
from tests.support.studio import running_studio


async def test_a_draft_is_kept_over_a_restart_and_a_second_page_cannot_overwrite_it(tmp_path: Path) -> None:
    body = {"script": "你好 <img onerror=x>", "form": {"speed": 1.25, "list": [None, True]}}
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.get("/api/drafts/studio")).status_code == 404
        first = await studio.http.put("/api/drafts/studio", json={"body": body})
        assert first.status_code == 200, first.text
        assert first.json()["revision"] == 1
    async with running_studio(tmp_path) as studio:
        read = (await studio.http.get("/api/drafts/studio")).json()
        assert (read["name"], read["body"], read["revision"]) == ("studio", body, 1)
        newer = await studio.http.put("/api/drafts/studio", json={"body": {"a": 1}, "revision": 1})
        assert newer.json()["revision"] == 2
        for stale in (1, None, 3):
            answer = await studio.http.put("/api/drafts/studio", json={"body": {}, "revision": stale})
            assert (answer.status_code, answer.json()["code"]) == (409, "validation_failed"), stale
            assert answer.json()["errors"][0]["field"] == "revision"
            assert "2" in answer.json()["detail"]
        assert (await studio.http.get("/api/drafts/studio")).json()["body"] == {"a": 1}
        await studio.http.put("/api/drafts/kept-aside-1", json={"body": {}})
        listed = (await studio.http.get("/api/drafts")).json()["data"]
        assert {(one["name"], one["revision"]) for one in listed} == {("studio", 2), ("kept-aside-1", 1)}
        assert all(set(one) == {"name", "revision", "saved_at"} for one in listed), "no bodies"
        assert (await studio.http.delete("/api/drafts/studio")).status_code == 204
        assert (await studio.http.delete("/api/drafts/studio")).status_code == 404
        gone = await studio.http.put("/api/drafts/studio", json={"body": {}, "revision": 2})
        assert gone.status_code == 409


async def test_drafts_are_bounded_in_size_depth_name_and_number(tmp_path: Path) -> None:
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"a": deep}
    async with running_studio(tmp_path) as studio:
        for body in ({"text": "x" * 200_001}, deep, {"a": "\ud800"}, [], None):
            answer = await studio.http.put(
                "/api/drafts/studio",
                content=json.dumps({"body": body}),
                headers={"Content-Type": "application/json"},
            )
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
        for name in ("Studio", "a" * 41, "a_b", "%20"):
            assert (await studio.http.put(f"/api/drafts/{name}", json={"body": {}})).status_code == 422, name
        for number in range(MAX_DRAFTS):
            kept = await studio.http.put(f"/api/drafts/d{number}", json={"body": {}})
            assert kept.status_code == 200
        full = await studio.http.put("/api/drafts/one-more", json={"body": {}})
        assert (full.status_code, full.json()["code"]) == (429, "rate_limited")
        assert (await studio.http.put("/api/drafts/d1", json={"body": {}, "revision": 1})).status_code == 200
