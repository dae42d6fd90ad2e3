"""A job's whole life over HTTP, with twins in place of the engine processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import BaseEngineAdapter, Readiness
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.ids import ID_PATTERN
from tests.support.studio import running_studio
from tests.support.twin_worker import wav_seconds, write_video


class RenderingEngine(BaseEngineAdapter):
    """A third-party engine that truly makes a video."""

    def __init__(self, name: str = "my_engine", failures: list[Exception] | None = None) -> None:
        self._name = name
        self._failures = failures or []
        self.calls: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        return self._name

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        self.calls.append({"job_id": job_id, "script_text": script_text, **kwargs})
        if self._failures:
            raise self._failures.pop(0)
        kwargs["report"](0.5, "half")
        assert not kwargs["cancelled"]()
        write_video(kwargs["output_path"], wav_seconds(kwargs["audio_path"]))
        return f"/api/jobs/{job_id}/result"


class DocumentedEngine(BaseEngineAdapter):
    """The product document's example, as printed: it leaves no video."""

    @property
    def name(self) -> str:
        return "printed_example"

    async def process_job(self, job_id, voice_id, avatar_url, script_text, **kwargs) -> str:  # type: ignore[no-untyped-def]
        return f"/api/jobs/{job_id}/result"


class MissingEngine(RenderingEngine):
    def readiness(self) -> Readiness:
        return Readiness(
            "NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, f"{self.name} is not here.", "Install it."
        )


async def test_a_job_becomes_a_playable_video_and_says_that_it_is_a_draft(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.post(
            "/api/jobs",
            json={
                "voice_id": "voice_builtinafheart",
                "avatar_url": "avatar_builtinaria",
                "script_mode": "manual",
                "script_input": "Hello there.",
                "preferred_engine": "auto",
                "wangp_model": "Wan t2v 1.3B",
            },
        )
        assert answer.status_code == 202
        created = answer.json()
        assert ID_PATTERN.match(created["job_id"])
        assert (created["selected_engine"], created["status"]) == ("draft", "queued")
        assert answer.headers["location"] == f"/api/jobs/{created['job_id']}"

        view = await studio.wait_for(created["job_id"])
        assert (view["status"], view["progress"], view["fallback_reason"]) == ("completed", 100, None)
        assert view["draft"] is True
        assert "draft" in view["notice"]
        assert [stage["status"] for stage in view["stages"]] == ["completed"] * 4
        assert [(hop["engine"], hop["outcome"]) for hop in view["attempts"]] == [
            ("builtin", "succeeded"),
            ("draft", "succeeded"),
        ]

        result = await studio.http.get(view["artifacts"]["video"])
        assert result.status_code == 200
        assert result.headers["content-type"] == "video/mp4"
        assert result.content[4:8] == b"ftyp"
        assert result.headers["accept-ranges"] == "bytes"
        for key in ("audio", "timings", "subtitles_srt", "subtitles_vtt", "thumbnail", "script"):
            artifact = await studio.http.get(view["artifacts"][key])
            assert artifact.status_code == 200, key
            assert artifact.headers["x-content-type-options"] == "nosniff"
        assert not list(studio.settings.work_dir.iterdir())


async def test_ranges_and_etags_of_the_result_work(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit(title="六月 公告/1")
        await studio.wait_for(job_id)
        url = f"/api/jobs/{job_id}/result"
        whole = await studio.http.get(url)
        part = await studio.http.get(url, headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"ftyp")
        assert part.headers["content-range"] == f"bytes 4-7/{len(whole.content)}"
        unchanged = await studio.http.get(url, headers={"If-None-Match": whole.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert "filename*=utf-8''%E5%85%AD%E6%9C%88" in whole.headers["content-disposition"].lower().replace(
            "%e5%85%ad%e6%9c%88", "%E5%85%AD%E6%9C%88"
        )
        assert whole.headers["content-disposition"].startswith("attachment")
        head = await studio.http.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        inline = await studio.http.get(url, params={"inline": "1"})
        assert inline.headers["content-disposition"].startswith("inline")


async def test_an_engine_asked_for_by_name_that_is_missing_fails_with_a_code_and_a_fix(
    tmp_path: Path,
) -> None:
    async with running_studio(tmp_path) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="wan2gp"))
        assert view["status"] == "failed"
        assert view["error"]["code"] == "engine_not_installed"
        assert "install_wan2gp" in view["error"]["hint"]
        assert view["message"]
        assert studio.speech.seen == [], "no speech is made for a job that cannot be finished"
        assert not (studio.settings.outputs_dir / view["job_id"]).exists()
        answer = await studio.http.get(f"/api/jobs/{view['job_id']}/result")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")


async def test_infinitetalk_by_name_hops_to_wan2gp_and_leaves_every_reason(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="infinitetalk"))
        assert view["status"] == "failed"
        assert [(hop["engine"], hop["outcome"], hop["code"]) for hop in view["attempts"]] == [
            ("infinitetalk", "skipped", "engine_not_installed"),
            ("wan2gp", "skipped", "engine_not_installed"),
        ]
        assert "InfiniteTalk" in view["fallback_reason"]
        assert "Wan2GP is asked next" in view["fallback_reason"]


async def test_a_topic_without_a_language_model_is_not_made_up(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for mode in ("auto", "ai"):
            view = await studio.wait_for(await studio.submit(script_mode=mode, script_input="cats"))
            assert (view["status"], view["error"]["code"]) == ("failed", "script_model_missing")
            for way in ("Ollama", "SCRIPT_API_URL", "POST /api/models/script-qwen/download"):
                assert way in view["error"]["hint"]
        assert studio.speech.seen == []


async def test_the_documents_example_adapter_runs_and_ends_without_output(tmp_path: Path) -> None:
    async with running_studio(tmp_path, adapters=[DocumentedEngine()]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="printed_example"))
        assert (view["status"], view["error"]["code"]) == ("failed", "no_output")


async def test_a_registered_adapter_that_writes_a_video_completes(tmp_path: Path) -> None:
    engine = RenderingEngine()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        view = await studio.wait_for(
            await studio.submit(preferred_engine="my_engine", seed=7, prompt="a beach")
        )
        assert (view["status"], view["draft"], view["selected_engine"]) == ("completed", False, "my_engine")
        call = engine.calls[0]
        assert call["script_text"] == "Hello there, this is a test."
        assert {"audio_path", "avatar_path", "output_path", "settings", "report", "cancelled"} <= set(call)
        assert (call["settings"]["seed"], call["settings"]["prompt"]) == (7, "a beach")


async def test_an_adapter_that_raises_anything_ends_as_internal_error(tmp_path: Path) -> None:
    class Odd(Exception):
        pass

    engine = RenderingEngine(failures=[Odd("secret /etc/passwd"), Odd("again")])
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="my_engine"))
        assert (view["status"], view["error"]["code"]) == ("failed", "internal_error")
        assert "/etc/passwd" not in json.dumps(view)


async def test_a_video_of_the_wrong_length_is_not_a_result(tmp_path: Path) -> None:
    class Short(RenderingEngine):
        async def process_job(
            self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
        ) -> str:
            write_video(kwargs["output_path"], 0.2)
            return "done"

    async with running_studio(tmp_path, adapters=[Short()]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="my_engine"))
        assert (view["status"], view["error"]["code"]) == ("failed", "no_output")


async def test_when_an_engine_fails_the_next_takes_over_with_the_reason_on_record(tmp_path: Path) -> None:
    failing = RenderingEngine("wan_twin", [EngineFailure(ErrorCode.GPU_UNSUPPORTED, "This GPU is too old.")])
    async with running_studio(tmp_path, adapters=[failing]) as studio:
        app_router = studio.http._transport.app.state.services.jobs._router  # type: ignore[attr-defined]
        app_router._registry._adapters["wan2gp"] = failing
        view = await studio.wait_for(await studio.submit())
        assert (view["status"], view["selected_engine"], view["draft"]) == ("completed", "draft", True)
        assert "This GPU is too old." in view["fallback_reason"]
        assert "takes over" in view["fallback_reason"]
        video = [(hop["engine"], hop["outcome"]) for hop in view["attempts"] if hop["stage"] == "video"]
        assert video == [("wan2gp", "failed"), ("draft", "succeeded")]
        assert len(studio.speech.seen) == 1, "finished stages are not repeated"


async def test_a_crashed_worker_is_tried_once_more_and_then_given_up(tmp_path: Path) -> None:
    crash = EngineFailure(ErrorCode.WORKER_CRASHED, "The engine crashed.", retryable=True)
    async with running_studio(tmp_path) as studio:
        studio.draft.fail_next(crash)
        view = await studio.wait_for(await studio.submit())
        assert view["status"] == "completed"
        assert [h["outcome"] for h in view["attempts"] if h["stage"] == "video"] == ["failed", "succeeded"]

        studio.draft.fail_next(crash, crash)
        view = await studio.wait_for(await studio.submit())
        assert (view["status"], view["error"]["code"]) == ("failed", "worker_crashed")
        assert [h["outcome"] for h in view["attempts"] if h["stage"] == "video"] == ["failed", "failed"]


async def test_a_bad_portrait_is_not_tried_on_another_engine(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.fail_next(
            EngineFailure(ErrorCode.FACE_NOT_FOUND, "No face was found.", hint="Use another.")
        )
        view = await studio.wait_for(await studio.submit())
        assert (view["status"], view["error"]["code"]) == ("failed", "face_not_found")
        assert view["fallback_reason"] is None


async def test_a_queued_job_is_cancelled_at_once_and_a_running_one_soon(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.gate.clear()
        running = await studio.submit()
        waiting = await studio.submit()
        await studio.wait_for(running, "processing")
        answer = await studio.http.post(f"/api/jobs/{waiting}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
        for _ in range(3):
            answer = await studio.http.post(f"/api/jobs/{running}/cancel")
            assert answer.status_code == 202
            assert answer.json()["status"] in {"cancelling", "cancelled"}
        view = await studio.wait_for(running, "cancelled")
        assert view["artifacts"]["video"] is None


async def test_a_retry_is_a_new_job_that_reuses_the_finished_stages(tmp_path: Path) -> None:
    crash = EngineFailure(ErrorCode.NO_OUTPUT, "Nothing came out.")
    async with running_studio(tmp_path) as studio:
        studio.draft.fail_next(crash)
        failed = await studio.submit()
        assert (await studio.wait_for(failed))["status"] == "failed"
        answer = await studio.http.post(f"/api/jobs/{failed}/retry")
        assert answer.status_code == 202
        retried = answer.json()
        assert retried["retry_of"] == failed
        assert retried["job_id"] != failed
        view = await studio.wait_for(retried["job_id"])
        assert view["status"] == "completed"
        assert len(studio.speech.seen) == 1
        assert (await studio.view(failed))["status"] == "failed", "an ended job stays what it is"

        again = await studio.http.post(f"/api/jobs/{failed}/retry", json={"from": "start", "engine": "draft"})
        assert (await studio.wait_for(again.json()["job_id"]))["status"] == "completed"
        assert len(studio.speech.seen) == 2


async def test_a_running_job_cannot_be_deleted_or_retried_and_an_ended_one_is_gone_after(
    tmp_path: Path,
) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.gate.clear()
        job_id = await studio.submit()
        await studio.wait_for(job_id, "processing")
        assert (await studio.http.delete(f"/api/jobs/{job_id}")).status_code == 409
        assert (await studio.http.post(f"/api/jobs/{job_id}/retry")).status_code == 409
        studio.draft.gate.set()
        await studio.wait_for(job_id)
        folder = studio.settings.outputs_dir / job_id
        assert list(folder.iterdir())
        assert (await studio.http.delete(f"/api/jobs/{job_id}")).status_code == 204
        assert not list(folder.iterdir())
        for method, path in (("GET", ""), ("GET", "/result"), ("POST", "/cancel"), ("DELETE", "")):
            answer = await studio.http.request(method, f"/api/jobs/{job_id}{path}")
            assert (answer.status_code, answer.json()["code"]) == (410, "gone"), (method, path)


async def test_the_list_is_paged_filtered_and_searched(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        ids = [await studio.submit(title=f"video {n}", preferred_engine="wan2gp") for n in range(5)]
        for job_id in ids:
            await studio.wait_for(job_id)
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            page = (await studio.http.get("/api/jobs", params=params)).json()
            seen += [job["job_id"] for job in page["data"]]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                break
        assert seen == ids[::-1]
        found = (await studio.http.get("/api/jobs", params={"q": "video 3"})).json()["data"]
        assert [job["job_id"] for job in found] == [ids[3]]
        assert not (await studio.http.get("/api/jobs", params={"status": "completed"})).json()["data"]
        bad = await studio.http.get("/api/jobs", params={"cursor": "nonsense"})
        assert (bad.status_code, bad.json()["code"]) == (422, "validation_failed")


async def test_an_idempotency_key_gives_the_same_job_again(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        body = {"voice_id": "voice_builtinafheart", "avatar_url": "avatar_builtinaria", "script_input": "Hi"}
        headers = {"Idempotency-Key": "order-7"}
        first = await studio.http.post("/api/jobs", json=body, headers=headers)
        again = await studio.http.post("/api/jobs", json=body, headers=headers)
        assert first.json()["job_id"] == again.json()["job_id"]
        assert again.headers["idempotent-replayed"] == "true"
        spelt_out = {**body, "priority": 0, "output": {"aspect": "1:1"}}
        same = await studio.http.post("/api/jobs", json=spelt_out, headers=headers)
        assert same.json()["job_id"] == first.json()["job_id"], "a default that is spelt out changes nothing"
        other = await studio.http.post("/api/jobs", json={**body, "script_input": "Ho"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_a_restart_goes_on_from_the_last_finished_stage(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.gate.clear()
        job_id = await studio.submit()
        while not studio.draft.seen:
            await studio.wait_for(job_id, "processing")
    async with running_studio(tmp_path) as studio:
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed"
        assert studio.speech.seen == [], "the speech of before the stop is used"
        outcomes = [hop["outcome"] for hop in view["attempts"] if hop["stage"] == "video"]
        assert outcomes == ["released", "succeeded"]


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"script_input": "   "}, "validation_failed", 422),
        ({"script_input": "x" * 20_001}, "validation_failed", 422),
        ({"script_input": "a\x00b"}, "validation_failed", 422),
        ({"script_input": "…！？ 🎉 --"}, "validation_failed", 422),
        ({"voice_id": "voice_zzzzzzzz1"}, "voice_not_found", 404),
        ({"voice_id": "../../etc"}, "voice_not_found", 404),
        ({"avatar_url": "avatar_zzzzzzzz1"}, "avatar_not_found", 404),
        ({"avatar_url": "nothing.png"}, "avatar_not_found", 404),
        ({"avatar_url": "/etc/passwd"}, "fetch_refused", 422),
        ({"avatar_url": "../sqlite.db"}, "fetch_refused", 422),
        ({"avatar_url": "file:///etc/passwd"}, "fetch_refused", 422),
        ({"avatar_url": "http://127.0.0.1/x.png"}, "fetch_refused", 422),
        ({"avatar_url": "http://[::1]/x.png"}, "fetch_refused", 422),
        ({"preferred_engine": "sora"}, "validation_failed", 422),
        ({"wangp_model": "Sora"}, "validation_failed", 422),
        ({"output": {"aspect": "4:3"}}, "validation_failed", 422),
        ({"face_index": 7}, "validation_failed", 422),
    ],
)
async def test_what_cannot_work_is_refused_with_a_code_and_a_fix(
    tmp_path: Path, change: dict[str, Any], code: str, status: int
) -> None:
    async with running_studio(tmp_path) as studio:
        body = {"voice_id": "voice_builtinafheart", "avatar_url": "avatar_builtinaria", "script_input": "Hi"}
        answer = await studio.http.post("/api/jobs", json={**body, **change})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"]
        assert problem["hint"]
        assert problem["request_id"]
        assert str(tmp_path) not in answer.text


async def test_titles_of_problems_follow_the_language_and_codes_do_not(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        chinese = await studio.http.get(
            "/api/jobs/job_zzzzzzzz1", headers={"Accept-Language": "zh-CN,zh;q=0.9"}
        )
        english = await studio.http.get("/api/jobs/job_zzzzzzzz1")
        assert chinese.json()["title"] == "任务不存在"
        assert english.json()["title"] == "No such job"
        assert chinese.json()["code"] == english.json()["code"] == "job_not_found"


async def test_a_paused_queue_hands_out_nothing_and_survives_a_restart(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        paused = await studio.http.post("/api/queue/pause", json={"reason": "gaming"})
        assert paused.json() == {"paused": True, "queued": 0, "running": 0, "reason": "gaming"}
        first = await studio.submit()
        second = await studio.submit()
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.get("/api/queue")).json()["queued"] == 2
        moved = await studio.http.patch(f"/api/jobs/{second}", json={"priority": 5})
        assert (moved.json()["priority"], moved.json()["queue_position"]) == (5, 1)
        assert (await studio.view(first))["queue_position"] == 2
        assert (await studio.http.post("/api/queue/resume")).json()["paused"] is False
        done_first = await studio.wait_for(second)
        done_second = await studio.wait_for(first)
        assert done_first["started_at"] < done_second["started_at"]
        bad = await studio.http.patch(f"/api/jobs/{second}", json={"priority": 500})
        assert bad.status_code == 422


async def test_a_job_that_is_asked_for_again_shows_every_change_at_once(tmp_path: Path) -> None:
    """The answer is kept ready between two commits; a commit makes it anew."""
    async with running_studio(tmp_path) as studio:
        await studio.http.post("/api/queue/pause")
        job_id = await studio.submit()
        for priority in (3, -7, 100):
            before = (await studio.http.get(f"/api/jobs/{job_id}")).json()
            assert (await studio.http.get(f"/api/jobs/{job_id}")).json() == before
            await studio.http.patch(f"/api/jobs/{job_id}", json={"priority": priority})
            assert (await studio.http.get(f"/api/jobs/{job_id}")).json()["priority"] == priority
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        assert (await studio.http.get(f"/api/jobs/{job_id}")).json()["status"] == "cancelled"
        await studio.http.delete(f"/api/jobs/{job_id}")
        assert (await studio.http.get(f"/api/jobs/{job_id}")).status_code == 410
