"""Who comes next when many wait, over HTTP."""

from __future__ import annotations

from pathlib import Path

from tests.support.studio import job_body, running_studio


async def test_a_single_job_waits_for_one_job_of_a_batch_and_not_for_fifty(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        batch = await studio.http.post(
            "/api/batches", json={"items": [job_body(script_input=f"Number {n}.") for n in range(50)]}
        )
        assert batch.status_code == 202, batch.text
        single = await studio.http.post("/api/jobs", json=job_body(script_input="Only me."))
        assert single.json()["queue_position"] == 2
        await studio.http.post("/api/queue/resume")
        job_id = single.json()["job_id"]
        await studio.wait_for(job_id)
        counts = (await studio.http.get(f"/api/batches/{batch.json()['batch_id']}")).json()["counts"]
        assert counts["completed"] <= 2, "one before it, and one that may have begun and ended since"
        await studio.http.post(f"/api/batches/{batch.json()['batch_id']}/cancel")


async def test_two_batches_take_turns(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        batches = [
            (await studio.http.post("/api/batches", json={"items": [job_body()] * 4})).json()
            for _ in range(2)
        ]
        positions = []
        for batch in batches:
            views = [await studio.view(item["job_id"]) for item in batch["items"]]
            positions.append([view["queue_position"] for view in views])
        assert positions == [[1, 3, 5, 7], [2, 4, 6, 8]]
        for batch in batches:
            await studio.http.post(f"/api/batches/{batch['batch_id']}/cancel")
