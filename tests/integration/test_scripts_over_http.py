"""Scripts about topics through the whole service: `/api/script`, and jobs with `script_mode` `auto`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services.script_requests import MAX_WRITING
from tests.support.chat_server import Line, chat_host, delta
from tests.support.served import serving
from tests.support.studio import Studio, job_body, running_studio

TEXT = "Tea is a quiet drink. It asks for time, and gives it back. Boil water, wait, and sip."
ORDER = {"topic": "tea", "seconds": 5}
SSE = {"Accept": "text/event-stream"}
KEY = "sk-very-secret-key"


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def test_without_a_model_nothing_is_made_up_and_three_ways_are_named(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        listed = (await studio.http.get("/api/script/models")).json()
        assert listed["chosen"] is None
        (local,) = listed["data"]
        assert (local["id"], local["source"], local["ready"]) == ("local/script-qwen", "local", False)
        assert "POST /api/models/script-qwen/download" in local["fix"]
        for headers in ({}, SSE):
            answer = await studio.http.post("/api/script", json=ORDER, headers=headers)
            assert answer.status_code == 422
            problem = answer.json()
            assert problem["code"] == "script_model_missing"
            for way in ("Ollama", "SCRIPT_API_URL", "POST /api/models/script-qwen/download"):
                assert way in problem["hint"]


async def test_a_text_is_written_as_json(tmp_path: Path) -> None:
    async with chat_host(f"Sure! Here is the text:\n\n{TEXT}") as host:
        async with running_studio(tmp_path, script_api_url=host.url, script_api_key=KEY) as studio:
            listed = (await studio.http.get("/api/script/models")).json()
            assert listed["chosen"] == "custom/tiny-chat"
            answer = await studio.http.post("/api/script", json=ORDER)
            assert answer.status_code == 200, answer.text
            assert answer.json() == {
                "text": TEXT,
                "model": "tiny-chat",
                "source": "custom",
                "language": "en",
                "characters": len(TEXT),
                "estimated_s": pytest.approx(5, abs=0.5),
            }
        assert host.seen[-1].headers["authorization"] == f"Bearer {KEY}"
        assert list((tmp_path / "data" / "work").iterdir()) == []


async def test_a_text_is_streamed_while_it_is_written(tmp_path: Path) -> None:
    async with (
        chat_host("Tea.", TEXT) as host,
        running_studio(tmp_path, script_api_url=host.url) as studio,
    ):
        answer = await studio.http.post("/api/script", json=ORDER, headers=SSE)
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        events = events_of(answer.text)
        again = [name for name, _ in events].index("restart")
        assert "".join(data["text"] for name, data in events[:again]) == "Tea."
        assert "".join(data["text"] for name, data in events[again:] if name == "delta") == TEXT
        assert events[-1][0] == "done"
        assert events[-1][1]["text"] == TEXT


async def test_a_failure_in_the_middle_is_an_event(tmp_path: Path) -> None:
    async def talk(line: Line) -> None:
        await line.head()
        await line.chunk(delta("Tea is"))
        await line.chunk({"error": {"message": "out of memory"}})

    async with chat_host() as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        host.will(talk)
        events = events_of((await studio.http.post("/api/script", json=ORDER, headers=SSE)).text)
        assert events[0] == ("delta", {"text": "Tea is"})
        name, error = events[-1]
        assert (name, error["code"]) == ("error", "script_failed")
        assert "out of memory" in error["detail"]
        answer = await studio.http.post("/api/script", json=ORDER)
        assert (answer.status_code, answer.json()["code"]) == (503, "script_failed")


async def test_the_key_is_told_to_nobody_and_not_logged(tmp_path: Path) -> None:
    async with chat_host() as host:
        host.will(lambda line: line.answer({"error": {"message": f"wrong key {KEY}"}}, 500))
        async with running_studio(tmp_path, script_api_url=host.url, script_api_key=KEY) as studio:
            answers = [await studio.http.post("/api/script", json=ORDER, headers=h) for h in ({}, SSE)]
            answers.append(await studio.http.get("/api/script/models"))
            job = await studio.wait_for(await studio.submit(script_mode="auto", script_input="tea"))
            assert job["error"]["code"] == "script_failed"
    told = "".join(answer.text for answer in answers) + json.dumps(job)
    told += "".join(path.read_text("utf-8") for path in (tmp_path / "logs").iterdir())
    assert "***" in told
    assert KEY not in told


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"topic": ""},
        {"topic": " \n"},
        {"topic": "…!"},
        {"topic": "x" * 4001},
        {"topic": "tea\x00"},
        {"topic": "tea", "seconds": 4},
        {"topic": "tea", "seconds": 601},
        {"topic": "tea", "language": "fr"},
        {"topic": "tea", "style": "x" * 301},
        {"topic": "tea", "model": "x" * 201},
    ],
)
async def test_what_cannot_be_asked_for_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async with chat_host(TEXT) as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        answer = await studio.http.post("/api/script", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
        assert host.asked == []


async def test_a_model_that_is_not_there_is_missing(tmp_path: Path) -> None:
    async with chat_host(TEXT) as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        answer = await studio.http.post("/api/script", json={**ORDER, "model": "other"})
        assert (answer.status_code, answer.json()["code"]) == (422, "script_model_missing")
        answer = await studio.http.post("/api/script", json={**ORDER, "model": "custom/tiny-chat"})
        assert answer.status_code == 200


async def test_more_than_some_at_a_time_are_turned_away_and_places_are_given_back(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def talk(line: Line) -> None:
        await go.wait()
        await line.say(TEXT)

    async with chat_host() as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        host.will(talk)
        asking = [
            asyncio.create_task(studio.http.post("/api/script", json=ORDER, headers=headers))
            for headers in ({}, SSE)
        ]
        assert len(asking) == MAX_WRITING
        await _until(lambda: len(host.asked) == MAX_WRITING)
        answer = await studio.http.post("/api/script", json=ORDER, headers=SSE)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert answer.headers["retry-after"]
        go.set()
        assert [(await task).status_code for task in asking] == [200, 200]
        assert (await studio.http.post("/api/script", json=ORDER)).status_code == 200


@pytest.mark.parametrize("headers", [{}, SSE], ids=["json", "stream"])
async def test_hanging_up_stops_the_model_and_gives_the_place_back(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    gone = asyncio.Event()

    async def talk(line: Line) -> None:
        await line.head()
        await line.chunk(delta("Tea is"))
        await line.until_hung_up()
        gone.set()

    async with chat_host() as host:
        host.will(talk)
        with serving(tmp_path, script_api_url=host.url) as served:
            async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as http:
                for _ in range(MAX_WRITING + 1):
                    gone.clear()
                    asking = asyncio.create_task(http.post("/api/script", json=ORDER, headers=headers))
                    seen = len(host.asked)
                    await _until(lambda seen=seen: len(host.asked) > seen)  # type: ignore[misc]
                    asking.cancel()
                    await asyncio.wait_for(gone.wait(), 30)
                    await _until_free(http)


async def _until(is_so: Any) -> None:
    async def wait() -> None:
        while not is_so():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 30)


async def _until_free(http: httpx.AsyncClient) -> None:
    """The place is given back a moment after the model was hung up on."""

    async def wait() -> None:
        body = {**ORDER, "model": "nobody"}
        while (await http.post("/api/script", json=body)).status_code == 429:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), 30)


# -- jobs ------------------------------------------------------------------------------------------
async def the_script(studio: Studio, view: dict[str, Any]) -> Any:
    return (await studio.http.get(view["artifacts"]["script"])).json()


async def test_a_job_about_a_topic_speaks_what_was_written(tmp_path: Path) -> None:
    async with chat_host(TEXT) as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        settings = {"language": "en", "seconds": 5, "style": "calm"}
        view = await studio.wait_for(
            await studio.submit(script_mode="auto", script_input="tea", script_settings=settings)
        )
        assert view["status"] == "completed", view
        script = await the_script(studio, view)
        assert script == {
            "mode": "auto",
            "text": TEXT,
            "topic": "tea",
            "language": "en",
            "model": "tiny-chat",
            "source": "custom",
            "asked_s": 5,
            "estimated_s": script["estimated_s"],
        }
        assert "calm" in host.asked[0]["messages"][1]["content"]
        assert view["script_input"] == "tea"


async def test_a_retry_does_not_write_again_unless_from_the_start(tmp_path: Path) -> None:
    async with chat_host(TEXT) as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        broken = EngineFailure(ErrorCode.NO_OUTPUT, "No picture.")
        studio.draft.fail_next(broken)
        job_id = await studio.submit(script_mode="auto", script_input="tea")
        assert (await studio.wait_for(job_id))["status"] == "failed"
        first = len(host.asked)
        assert first > 0
        retried = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        view = await studio.wait_for(retried)
        assert view["status"] == "completed"
        assert len(host.asked) == first
        assert (await the_script(studio, view))["text"] == TEXT
        found = (await studio.http.get("/api/jobs", params={"q": TEXT[5:25].upper()})).json()
        assert {job["job_id"] for job in found["data"]} == {job_id, retried}, "found by what is said"
        body = {"from": "start"}
        anew = (await studio.http.post(f"/api/jobs/{job_id}/retry", json=body)).json()["job_id"]
        assert (await studio.wait_for(anew))["status"] == "completed"
        assert len(host.asked) > first


async def test_the_job_tells_how_far_the_text_is(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def talk(line: Line) -> None:
        await line.head()
        for at in range(0, len(TEXT), 10):
            await line.chunk(delta(TEXT[at : at + 10]))
            await asyncio.sleep(0.1)
        await go.wait()
        await line.raw(b"data: [DONE]\n\n")

    async with chat_host() as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        host.will(talk)
        settings = {"seconds": 5}
        job_id = await studio.submit(script_mode="auto", script_input="tea", script_settings=settings)
        while "characters" not in (view := await studio.view(job_id))["message"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert view["stage"] == "script"
        assert "of about 86 characters" in view["message"]
        assert view["progress"] <= 2
        go.set()
        assert (await studio.wait_for(job_id))["status"] == "completed"


@pytest.mark.parametrize("says", [(), ("Tea is",)], ids=["silent", "in the middle"])
async def test_a_cancel_hangs_up_on_the_model(tmp_path: Path, says: tuple[str, ...]) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def talk(line: Line) -> None:
        if says:
            await line.head()
            await line.chunk(delta(says[0]))
        asked.set()
        await line.until_hung_up()
        gone.set()

    async with chat_host() as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        host.will(talk)
        job_id = await studio.submit(script_mode="auto", script_input="tea")
        await asyncio.wait_for(asked.wait(), 30)
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        await asyncio.wait_for(gone.wait(), 30)
        assert (await studio.wait_for(job_id))["status"] == "cancelled"
        assert len(host.asked) == 1


async def test_a_bad_portrait_is_found_before_a_text_is_written(tmp_path: Path) -> None:
    async with chat_host(TEXT) as host, running_studio(tmp_path, script_api_url=host.url) as studio:
        (tmp_path / "data" / "uploads" / "me.png").write_bytes(b"no picture")
        studio.draft.fail_next(EngineFailure(ErrorCode.IMAGE_UNREADABLE, "No picture."))
        job_id = await studio.submit(script_mode="auto", script_input="tea", avatar_url="me.png")
        view = await studio.wait_for(job_id)
        assert view["status"] == "failed"
        assert view["error"]["code"] == "image_unreadable"
        assert host.asked == []


async def test_a_topic_has_a_bound_of_its_own(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for mode, status in (("auto", 422), ("manual", 202)):
            body = job_body(script_mode=mode, script_input="tea " * 1001)
            assert (await studio.http.post("/api/jobs", json=body)).status_code == status
