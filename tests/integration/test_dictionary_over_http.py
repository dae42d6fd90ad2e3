"""The dictionary and the check of a script, through the whole service."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.studio import running_studio

WAIT_STEPS = 3000


async def test_a_term_is_set_listed_changed_and_forgotten(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        put = await studio.http.put("/api/dictionary/单于", json={"reading": "chan2 yu2"})
        assert put.status_code == 200, put.text
        entry = put.json()
        assert (entry["term"], entry["reading"], entry["language"]) == ("单于", "chan2 yu2", "zh")
        await studio.http.put("/api/dictionary/AC%2FDC", json={"reading": "A C D C"})
        listed = (await studio.http.get("/api/dictionary")).json()["data"]
        assert {one["term"]: one["reading"] for one in listed} == {"单于": "chan2 yu2", "AC/DC": "A C D C"}
        assert (await studio.http.delete("/api/dictionary/单于")).status_code == 204
        gone = await studio.http.delete("/api/dictionary/单于")
        assert (gone.status_code, gone.json()["code"]) == (404, "validation_failed")


@pytest.mark.parametrize(
    ("term", "reading"),
    [
        ("重庆", "chong qing"), ("重庆", "chong9 qing4"), ("重庆", "chong2 qing4 shi4"), ("…", "x"), ("a[b", "x"), ("字" * 61, "x"),
        ("重庆", "。"), ("重庆", ""), ("重庆", "x" * 201), ("重庆", "a\u0007"),
    ],
)  # fmt: skip
async def test_a_reading_that_cannot_be_said_is_refused(tmp_path: Path, term: str, reading: str) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.put(f"/api/dictionary/{term}", json={"reading": reading})
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert (problem["code"], bool(problem["hint"]), bool(problem["errors"])) == (
            "validation_failed",
            True,
            True,
        )
        assert (await studio.http.get("/api/dictionary")).json() == {"data": []}


async def test_speech_and_check_use_the_dictionary(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.put("/api/dictionary/单于", json={"reading": "chán yú"})
        checked = await studio.http.post("/api/script/check", json={"text": "单于来了。涨了5%。"})
        assert checked.status_code == 200, checked.text
        report = checked.json()
        assert report["sentences"][0]["pinyin"] == "chán yú lái le"
        assert report["sentences"][1]["spoken"] == "涨了百分之五。"
        studio.speech.gate.clear()  # holds the task, whose files are gone when it has ended
        job_id = await studio.submit(script_input="单于来了。")
        for _ in range(WAIT_STEPS):
            if any(task.task == "speech" for task in studio.speech.seen):
                break
            await asyncio.sleep(0.01)
        task = next(task for task in studio.speech.seen if task.task == "speech")
        script = json.loads(task.inputs["script"].read_text("utf-8"))
        assert script["dictionary"] == [{"term": "单于", "reading": "chán yú"}]
        studio.speech.gate.set()
        await studio.wait_for(job_id, "completed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "…"}, 422, "validation_failed"), ({"text": ""}, 422, "validation_failed"), ({}, 422, "validation_failed"),
        ({"text": "好", "language": "de"}, 422, "validation_failed"), ({"text": "好" * 1001}, 422, "validation_failed"),
        ({"text": "好", "voice_id": "voice_zzzzzzzz1"}, 404, "voice_not_found"),
    ],
)  # fmt: skip
async def test_what_cannot_be_checked_is_refused(
    tmp_path: Path, body: dict[str, str], status: int, code: str
) -> None:
    async with running_studio(tmp_path, max_script_chars=1000) as studio:
        answer = await studio.http.post("/api/script/check", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/script/check", json={"text": "好。"})
        assert list((studio.settings.data_dir / "work").iterdir()) == []
