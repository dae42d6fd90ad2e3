"""Many jobs in one request, over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import Studio, running_studio

DEFAULTS = {
    "voice_id": "voice_builtinafheart",
    "avatar_url": "avatar_builtinaria",
    "preferred_engine": "draft",
    "output": {"aspect": "9:16", "subtitles": "none"},
}


async def send(studio: Studio, *items: dict[str, Any], key: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"defaults": DEFAULTS, "items": list(items), **more}
    headers = {"Idempotency-Key": key} if key else {}
    answer = await studio.http.post("/api/batches", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/batches/{made['batch_id']}"
    return made


async def view(studio: Studio, batch_id: str) -> dict[str, Any]:
    answer = await studio.http.get(f"/api/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def finished(studio: Studio, batch_id: str) -> dict[str, Any]:
    for _ in range(3000):
        found = await view(studio, batch_id)
        if found["finished"]:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(found)


def counted(batch: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in batch["counts"].items() if count}


async def test_one_bad_item_stops_nothing_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        made = await send(
            studio,
            {"script_input": "One."},
            {"script_input": "  "},
            {"script_input": "Two.", "voice_id": "voice_zzzzzzzz1"},
            {"script_input": "Three.", "output": {"aspect": "4:3"}},
            {"script_input": "Four.", "avatar_url": "http://127.0.0.1/x.png"},
            {"script_input": "Five.", "title": "last"},
            title="Week 3",
        )
        codes = [item["error"] and item["error"]["code"] for item in made["items"]]
        assert codes == [
            None,
            "validation_failed",
            "voice_not_found",
            "validation_failed",
            "fetch_refused",
            None,
        ]
        assert [item["index"] for item in made["items"]] == list(range(6))
        assert "output.aspect" in made["items"][3]["error"]["detail"]
        assert all(item["error"]["hint"] for item in made["items"] if item["error"])
        batch = await finished(studio, made["batch_id"])
        assert counted(batch) == {"completed": 2, "refused": 4}
        assert (batch["title"], batch["total"], batch["progress"]) == ("Week 3", 6, 100)
        assert [item["status"] for item in batch["items"]] == [
            "completed",
            None,
            None,
            None,
            None,
            "completed",
        ]
        assert batch["items"][5]["title"] == "last"
        assert batch["items"][2]["error"]["code"] == "voice_not_found"


async def test_defaults_fill_what_an_item_leaves_out_field_by_field(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        made = await send(
            studio, {"script_input": "One.", "output": {"aspect": "1:1"}}, {"script_input": "Two."}
        )
        one, two = [await studio.view(item["job_id"]) for item in made["items"]]
        assert (one["output"]["aspect"], one["output"]["subtitles"]) == ("1:1", "none")
        assert (two["output"]["aspect"], two["output"]["subtitles"]) == ("9:16", "none")
        assert one["batch_id"] == two["batch_id"] == made["batch_id"]


async def test_jobs_of_a_batch_are_listed_by_it(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        made = await send(studio, {"script_input": "One."}, {"script_input": "Two."})
        alone = await studio.submit()
        params = {"batch_id": made["batch_id"], "order": "asc"}
        found = (await studio.http.get("/api/jobs", params=params)).json()["data"]
        assert [job["job_id"] for job in found] == [item["job_id"] for item in made["items"]]
        assert (await studio.view(alone))["batch_id"] is None


async def test_the_same_key_gives_the_same_batch_even_when_its_voice_is_gone(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        items = [{"script_input": "One."}, {"script_input": ""}]
        first = await send(studio, *items, key="order-7")
        body = {"defaults": DEFAULTS, "items": items}
        headers = {"Idempotency-Key": "order-7"}
        again = await studio.http.post("/api/batches", json=body, headers=headers)
        assert again.json() == first
        assert again.headers["idempotent-replayed"] == "true"
        other = await studio.http.post("/api/batches", json={**body, "title": "x"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        assert len((await studio.http.get("/api/jobs")).json()["data"]) == 1


async def test_cancelling_a_batch_ends_what_runs_and_what_waits(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.gate.clear()
        made = await send(studio, *({"script_input": f"Number {n}."} for n in range(4)))
        await studio.wait_for(made["items"][0]["job_id"], "processing")
        for _ in range(2):
            answer = await studio.http.post(f"/api/batches/{made['batch_id']}/cancel")
            assert answer.status_code == 202
        batch = await finished(studio, made["batch_id"])
        assert counted(batch) == {"cancelled": 4}
        assert batch["progress"] < 100


async def test_progress_is_the_mean_and_a_deleted_job_counts_no_more(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        made = await send(
            studio, {"script_input": "One."}, {"script_input": "Two.", "preferred_engine": "wan2gp"}
        )
        batch = await finished(studio, made["batch_id"])
        assert counted(batch) == {"completed": 1, "failed": 1}
        assert batch["progress"] == 50
        assert batch["items"][1]["error"]["code"] == "engine_not_installed"
        await studio.http.delete(f"/api/jobs/{made['items'][1]['job_id']}")
        batch = await view(studio, made["batch_id"])
        assert counted(batch) == {"completed": 1, "deleted": 1}
        assert batch["progress"] == 100
        assert (batch["items"][1]["job_id"], batch["items"][1]["status"]) == (
            made["items"][1]["job_id"],
            None,
        )


async def test_batches_are_listed_in_pages_newest_first(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        ids = [(await send(studio, {"script_input": f"{n}."}))["batch_id"] for n in range(3)]
        first = (await studio.http.get("/api/batches", params={"limit": 2})).json()
        assert [batch["batch_id"] for batch in first["data"]] == ids[:0:-1]
        assert counted(first["data"][0]) == {"queued": 1}
        params = {"limit": 2, "cursor": first["next_cursor"]}
        rest = (await studio.http.get("/api/batches", params=params)).json()
        assert [batch["batch_id"] for batch in rest["data"]] == ids[:1]
        assert (rest["has_more"], rest["next_cursor"]) == (False, None)


async def test_two_hundred_items_fit_and_one_more_does_not(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        made = await send(studio, *({"script_input": "你好。" * 400} for _ in range(200)))
        assert sum(item["job_id"] is not None for item in made["items"]) == 200
        body = {"defaults": DEFAULTS, "items": [{"script_input": "x"}] * 201}
        answer = await studio.http.post("/api/batches", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_items_beyond_the_queues_limit_say_so(tmp_path: Path) -> None:
    async with running_studio(tmp_path, queue_limit=2) as studio:
        await studio.http.post("/api/queue/pause")
        made = await send(studio, *({"script_input": f"{n}."} for n in range(3)))
        assert [item["error"] and item["error"]["code"] for item in made["items"]] == [
            None,
            None,
            "queue_full",
        ]


@pytest.mark.parametrize(
    "body",
    [
        '{"items": []}',
        '{"items": "x"}',
        '{"items": [1]}',
        '{"defaults": [], "items": [{}]}',
        '{"title": "\\ud800", "items": [{}]}',
        '{"items": [{"metadata": ' + '{"a":' * 60 + "1" + "}" * 60 + "}]}",
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(tmp_path: Path, body: str) -> None:
    async with running_studio(tmp_path) as studio:
        headers = {"Content-Type": "application/json"}
        answer = await studio.http.post("/api/batches", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_an_item_may_hold_anything_without_harm(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        odd = '{"items": [{"x": NaN, "y": "\\ud800"}, {"script_input": "\\ud800", "voice_id": "v", "avatar_url": "a"}]}'
        headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        for _ in range(2):
            answer = await studio.http.post("/api/batches", content=odd, headers=headers)
            assert answer.status_code == 202
            assert [item["error"]["code"] for item in answer.json()["items"]] == ["validation_failed"] * 2


async def test_an_unknown_batch_is_404(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for method, path in (("GET", ""), ("POST", "/cancel")):
            for batch_id in ("batch_zzzzzzzz1", "job_zzzzzzzz1", "x"):
                answer = await studio.http.request(method, f"/api/batches/{batch_id}{path}")
                assert (answer.status_code, answer.json()["code"]) == (404, "validation_failed")
