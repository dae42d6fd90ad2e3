"""The disk's ledger and making room, over HTTP."""

from __future__ import annotations

from pathlib import Path

from tests.support.studio import running_studio

KINDS = [
    "uploads", "voices", "avatars", "results", "intermediates", "checkpoints", "speech_cache", "previews", "models", "logs",
    "backups", "database", "work",
]  # fmt: skip


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def test_the_ledger_counts_every_kind_and_what_may_go(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.wait_for(await studio.submit())
        (studio.settings.uploads_dir / "me.png").write_bytes(b"x" * 123)
        model = studio.settings.models_dir / "kokoro" / "model.onnx"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"x" * 456)
        ledger = (await studio.http.get("/api/system/disk")).json()
        kinds = {entry["kind"]: entry for entry in ledger["kinds"]}
        assert list(kinds) == KINDS
        assert kinds["uploads"] == {"kind": "uploads", "bytes": 123, "count": 1}
        assert kinds["models"] == {"kind": "models", "bytes": 456, "count": 1}
        assert kinds["results"]["bytes"] + kinds["intermediates"]["bytes"] == size_of(
            studio.settings.outputs_dir
        )
        assert kinds["intermediates"]["count"] == 1
        assert kinds["database"]["bytes"] > 0
        assert kinds["logs"]["count"] >= 1
        assert ledger["used_bytes"] == sum(entry["bytes"] for entry in ledger["kinds"])
        assert 0 < ledger["free_bytes"] < ledger["total_bytes"]
        assert ledger["budget_bytes"] is None
        assert [entry["rule"] for entry in ledger["reclaimable"]] == [
            "old_jobs", "unused_uploads", "intermediates", "results", "caches", "database",
        ]  # fmt: skip


async def test_making_room_frees_what_was_promised_and_a_retry_makes_it_again(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        before = size_of(studio.settings.outputs_dir)
        promised = {
            entry["rule"]: entry["bytes"]
            for entry in (await studio.http.get("/api/system/disk")).json()["reclaimable"]
        }
        assert promised["intermediates"] > 0
        answer = await studio.http.post(
            "/api/system/disk/reclaim", json={"what": ["intermediates", "old_jobs"]}
        )
        report = answer.json()
        assert (
            report["freed_bytes"]
            == promised["intermediates"]
            == before - size_of(studio.settings.outputs_dir)
        )
        assert [entry["rule"] for entry in report["rules"]] == ["intermediates", "old_jobs"]
        view = await studio.view(job_id)
        assert (view["status"], bool(view["artifacts"]["video"])) == ("completed", True)
        again = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        assert (await studio.wait_for(again))["status"] == "completed"


async def test_a_result_that_went_for_the_budget_answers_gone_and_can_be_made_again(tmp_path: Path) -> None:
    async with running_studio(tmp_path, disk_budget_gb=0.000001) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        answer = await studio.http.post(
            "/api/system/disk/reclaim", json={"what": ["intermediates", "results"]}
        )
        assert answer.json()["freed_bytes"] > 0
        view = await studio.view(job_id)
        assert view["status"] == "completed"
        assert (view["artifacts"]["video"], view["artifacts"]["audio"]) == (None, None)
        assert view["artifacts"]["thumbnail"] is not None
        for path in ("result", "artifacts/audio.wav"):
            gone = await studio.http.get(f"/api/jobs/{job_id}/{path}")
            assert (gone.status_code, gone.json()["code"]) == (410, "gone"), path
        again = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        made = await studio.wait_for(again)
        assert (await studio.http.get(made["artifacts"]["video"])).status_code == 200


async def test_what_has_no_rule_is_not_reclaimed(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for what in (["voices"], [], ["../.."], "results"):
            answer = await studio.http.post("/api/system/disk/reclaim", json={"what": what})
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), what


async def test_old_jobs_go_at_the_next_start(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        ids = [await studio.submit(preferred_engine="wan2gp") for _ in range(3)]
        for job_id in ids:
            await studio.wait_for(job_id)
    async with running_studio(tmp_path, keep_jobs=1) as studio:
        while len((await studio.http.get("/api/jobs")).json()["data"]) > 1:
            pass
        assert (await studio.view(ids[2]))["status"] == "failed"
        assert (await studio.http.get(f"/api/jobs/{ids[0]}")).status_code == 410
