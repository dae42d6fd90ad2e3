"""Settings, keys, logs, the system check and the support bundle over HTTP, with twins for the engines."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services import support_bundle
from backend.utils.logger import app_logger, worker_logger
from backend.utils.redact import Redactor
from tests.integration.test_library_over_http import png, tone
from tests.support.chat_server import chat_host
from tests.support.studio import Studio, running_studio
from tests.support.twin_gpus import gpu

# No test asks the internet for its mirrors.
OFFLINE: dict[str, Any] = {"model_offline": True}
OWNER = {"X-API-Key": "the-owners-key"}


async def setting(studio: Studio, name: str) -> dict[str, Any]:
    data = (await studio.http.get("/api/settings")).json()["data"]
    found: dict[str, Any] = next(one for one in data if one["name"] == name)
    return found


async def test_a_setting_counts_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.get("/api/system/disk")).json()["budget_bytes"] is None
        values = {"DISK_BUDGET_GB": 1.5, "HF_ENDPOINT": "https://hf-mirror.com", "LOG_LEVEL": "WARNING"}
        answer = await studio.http.patch("/api/settings", json={"values": values})
        assert answer.status_code == 200, answer.text
        assert (await studio.http.get("/api/system/disk")).json()["budget_bytes"] == 1_500_000_000
        assert app_logger.level == worker_logger.level == 30
    async with running_studio(tmp_path) as again:
        assert (await setting(again, "DISK_BUDGET_GB"))["value"] == 1.5
        assert (await again.http.get("/api/system/disk")).json()["budget_bytes"] == 1_500_000_000
        assert app_logger.level == 30
        back = await again.http.patch("/api/settings", json={"values": dict.fromkeys(values)})
        assert back.status_code == 200
        assert app_logger.level == 20


async def test_who_writes_scripts_changes_without_a_restart(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:

        async def sources() -> list[str]:
            listed = (await studio.http.get("/api/script/models")).json()
            return [model["source"] for model in listed["data"]]

        assert "custom" not in await sources()
        # Nobody listens at port 9 (discard); that it is asked at all is what is told.
        values = {"SCRIPT_API_URL": "http://127.0.0.1:9/v1", "SCRIPT_API_KEY": "sk-private"}
        assert (await studio.http.patch("/api/settings", json={"values": values})).status_code == 200
        assert "custom" in await sources()
        told = await setting(studio, "SCRIPT_API_KEY")
        assert (told["value"], told["set"]) == (None, True)


async def test_a_made_key_opens_the_api_but_neither_keys_nor_settings(tmp_path: Path) -> None:
    async with running_studio(tmp_path, api_key=OWNER["X-API-Key"]) as studio:
        http = studio.http
        made = (await http.post("/api/keys", json={"name": "comfy"}, headers=OWNER)).json()
        theirs = {"Authorization": f"Bearer {made['key']}"}
        assert (await http.get("/api/jobs", headers=theirs)).status_code == 200
        assert (await http.get("/v1/models", headers=theirs)).status_code == 200
        for method, path, body in (
            ("GET", "/api/keys", None),
            ("POST", "/api/keys", {"name": "more"}),
            ("DELETE", f"/api/keys/{made['key_id']}", None),
            ("PATCH", "/api/settings", {"values": {"KEEP_JOBS": 1}}),
        ):
            refused = await http.request(method, path, json=body, headers=theirs)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized"), path
        (listed,) = (await http.get("/api/keys", headers=OWNER)).json()["data"]
        assert "key" not in listed
        assert listed["last_used_at"] is not None

        # A session of the page that was opened with it has the same rights, and ends with it.
        assert (await http.post("/api/session", json={"key": made["key"]})).status_code == 204
        assert (await http.get("/api/jobs")).status_code == 200
        assert (await http.get("/api/keys")).status_code == 401
        assert (await http.delete(f"/api/keys/{made['key_id']}", headers=OWNER)).status_code == 204
        assert (await http.get("/api/jobs")).status_code == 401
        assert (await http.get("/api/jobs", headers=theirs)).status_code == 401
        assert (await http.post("/api/session", json={"key": OWNER["X-API-Key"]})).status_code == 204
        assert (await http.get("/api/keys")).status_code == 200


async def test_where_no_key_is_asked_for_keys_can_be_made_all_the_same(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.post("/api/keys", json={"name": "later"})).status_code == 201
        assert [key["name"] for key in (await studio.http.get("/api/keys")).json()["data"]] == ["later"]
        for name in ("", "   ", "a\u0000", "x" * 101):
            assert (await studio.http.post("/api/keys", json={"name": name})).status_code == 422
        assert (await studio.http.delete("/api/keys/key_zzzzzzzz1")).status_code == 404


async def test_the_logs_are_read_page_by_page_and_by_job(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.fail_next(EngineFailure(ErrorCode.INTERNAL_ERROR, "The engine broke."))
        job = await studio.wait_for(await studio.submit())
        first = (await studio.http.get("/api/logs", params={"limit": 1})).json()
        assert len(first["data"]) == 1
        rest = (
            await studio.http.get("/api/logs", params={"cursor": first["next_cursor"], "limit": 500})
        ).json()
        assert rest["data"][-1]["message"].startswith("starting boot-")
        assert str(tmp_path) not in json.dumps([first, rest])
        mine = (await studio.http.get("/api/logs", params={"job_id": job["job_id"]})).json()["data"]
        assert mine
        assert {line["job_id"] for line in mine} == {job["job_id"]}
        wrong = await studio.http.get("/api/logs", params={"cursor": "nonsense"})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cursor")
        assert (await studio.http.get("/api/logs", params={"level": "LOUD"})).status_code == 422


async def test_the_check_of_a_healthy_machine_finds_what_is_there(tmp_path: Path) -> None:
    async with running_studio(tmp_path, gpus=[gpu(0)], **OFFLINE) as studio:
        answer = await studio.http.post("/api/doctor")
        assert answer.status_code == 200
        checks = {check["id"]: check for check in answer.json()["checks"]}
        for name in ("data_writable", "ffmpeg", "gpu_driver", "speech", "draft", "models", "queue", "time"):
            assert checks[name]["status"] == "ok", checks[name]
        assert "Twin 0" in checks["gpu_driver"]["detail"]
        assert checks["engine.wan2gp"]["status"] == "skipped"
        assert "install_wan2gp" in checks["engine.wan2gp"]["fix"]["label"]
        assert checks["network_mirror"]["status"] == "skipped"
        assert str(tmp_path) not in answer.text


async def test_a_paused_queue_is_found_and_mended(tmp_path: Path) -> None:
    async with running_studio(tmp_path, **OFFLINE) as studio:
        await studio.http.post("/api/queue/pause", json={"reason": "lunch"})
        checks = (await studio.http.post("/api/doctor")).json()["checks"]
        queue = next(check for check in checks if check["id"] == "queue")
        assert (queue["status"], queue["fix"]["automatic"]) == ("warning", True)
        assert "lunch" in queue["detail"]
        fixed = (await studio.http.post("/api/doctor/fix", json={"id": "queue"})).json()
        assert fixed["done"] is True
        assert (await studio.http.get("/api/queue")).json()["paused"] is False
        assert (await studio.http.post("/api/doctor/fix", json={"id": "queue"})).json()["done"] is False
        unknown = await studio.http.post("/api/doctor/fix", json={"id": "nothing"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "validation_failed")


async def test_the_figures_of_the_machine_and_of_its_cards(tmp_path: Path) -> None:
    async with running_studio(tmp_path, gpus=[gpu(0)]) as studio:
        system = (await studio.http.get("/api/system")).json()
        assert 0 < system["memory"]["free_bytes"] <= system["memory"]["total_bytes"]
        assert system["cpu"]["count"] >= 1
        assert system["data"]["path"] is None
        asked_by_page = await studio.http.get("/api/system", headers={"Sec-Fetch-Site": "same-origin"})
        assert asked_by_page.json()["data"]["path"] == str(studio.settings.data_dir)
        (card,) = system["gpus"]
        assert (card["engine"], card["task"], card["utilisation_percent"]) == (None, None, None)
        assert (
            0
            <= (await studio.http.get("/api/system")).json()["cpu"]["load_percent"]
            <= 100 * system["cpu"]["count"]
        )


async def test_where_a_key_is_asked_for_only_its_owner_is_told_where_the_data_lies(tmp_path: Path) -> None:
    page = {"Sec-Fetch-Site": "same-origin"}
    async with running_studio(tmp_path, api_key=OWNER["X-API-Key"]) as studio:
        http = studio.http

        async def told(**headers: str) -> str | None:
            answer = await http.get("/api/system", headers={**page, **headers})
            assert answer.status_code == 200
            path: str | None = answer.json()["data"]["path"]
            return path

        made = (await http.post("/api/keys", json={"name": "comfy"}, headers=OWNER)).json()["key"]
        assert await told(Authorization=f"Bearer {made}") is None
        assert await told(**OWNER) == str(studio.settings.data_dir)
        assert (await http.post("/api/session", json={"key": made})).status_code == 204
        assert await told() is None
        assert (await http.post("/api/session", json={"key": OWNER["X-API-Key"]})).status_code == 204
        assert await told() == str(studio.settings.data_dir)
        assert (await http.get("/api/system")).json()["data"]["path"] is None


async def test_the_welcome_is_for_those_who_have_not_seen_it(tmp_path: Path) -> None:
    async def is_first(studio: Studio) -> bool:
        return bool((await studio.http.get("/api/system")).json()["first_run"])

    async with running_studio(tmp_path) as studio:
        assert await is_first(studio)
        assert (await studio.http.post("/api/system/first-run", json={"done": True})).json() == {
            "first_run": False
        }
    async with running_studio(tmp_path) as studio:
        assert not await is_first(studio)
        assert (await studio.http.post("/api/system/first-run", json={"done": False})).json() == {
            "first_run": True
        }


async def test_whoever_has_made_a_video_needs_no_welcome(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await studio.submit()
        assert (await studio.http.get("/api/system")).json()["first_run"] is False


SCRIPT = "Hello there. Our unreleased product is called Zanzibar Nine!\n我们的新产品叫做桑给巴尔九号。"
PLANTED = {
    "sentence": "Our unreleased product is called Zanzibar Nine",
    "Chinese sentence": "我们的新产品叫做桑给巴尔九号",
    "title": "Quarterly secret plan",
    "voice": "Grandmother Wilhelmina",
    "portrait": "王小明的照片",
    "folder": "Customer Contoso Ltd",
    "env key": "the-owners-key",
    "page secret": "sk-plantedplantedplanted",
    "address password": "pr0xypassw0rd",
    "hub token": "hf_plantedtokenplanted",
    "prompt": "a woman in the laboratory of project Xylophone",
    "written sentence": "It asks for time, and gives it back",
    "model folder": "/srv/contoso-weights",
    "own address": "https://mirror.contoso.example",
}


async def test_the_support_bundle_holds_what_helps_and_nothing_that_people_made(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "api_key": OWNER["X-API-Key"],
        "fetch_proxy": "http://user:pr0xypassw0rd@127.0.0.1:9",
        "model_folders": PLANTED["model folder"],
        "hf_endpoint": PLANTED["own address"],
        **OFFLINE,
    }
    async with (
        chat_host(f"Tea is quiet. {PLANTED['written sentence']}. Boil water.") as host,
        running_studio(tmp_path, script_api_url=host.url, **settings) as studio,
    ):
        http = studio.http
        http.headers.update(OWNER)
        await http.patch("/api/settings", json={"values": {"SCRIPT_API_KEY": PLANTED["page secret"]}})
        made = (await http.post("/api/keys", json={"name": "helper"})).json()
        voice = await http.post(
            "/api/voice/clone",
            files={"audio_file": ("a.wav", tone(tmp_path), "audio/wav")},
            data={"name": PLANTED["voice"]},
        )
        portrait = await http.post(
            "/api/avatars", files={"image_file": (f"{PLANTED['portrait']}.png", png(), "image/png")}
        )
        await http.post("/api/folders", json={"name": PLANTED["folder"]})
        written = await studio.wait_for(await studio.submit(script_mode="auto", script_input="tea"))
        assert written["status"] == "completed"
        studio.draft.fail_next(EngineFailure(ErrorCode.INTERNAL_ERROR, "The engine broke."))
        job = await studio.wait_for(
            await studio.submit(
                script_input=SCRIPT,
                prompt=f"{PLANTED['prompt']}. Calm.",
                title=PLANTED["title"],
                voice_id=voice.json()["voice_id"],
                avatar_url=portrait.json()["avatar_id"],
            )
        )
        # What an engine of somebody else might print.
        for text in (
            *(value for what, value in PLANTED.items() if what != "own address"),
            SCRIPT,
            made["key"],
            str(studio.settings.data_dir / "x"),
            "/home/mei/secret.wav",
        ):
            worker_logger.info("draft-1 | said: %s", text)
        answer = await http.get("/api/support-bundle")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        bundle = zipfile.ZipFile(io.BytesIO(answer.content))
        names = ["README.txt", "system.json", "doctor.json", "settings.json", "jobs.json", "logs/app.log"]
        assert bundle.namelist() == [*names, "logs/worker.log"]
        told = {name: bundle.read(name).decode("utf-8") for name in bundle.namelist()}

    for name, text in told.items():
        for what, secret in PLANTED.items():
            assert secret not in text, f"{what} in {name}"
        for secret in (made["key"], str(tmp_path), "/home/mei", "Zanzibar", "桑给巴尔"):
            assert secret not in text, f"{secret} in {name}"
    shown = {one["name"]: one for one in json.loads(told["settings.json"])["data"]}
    for name in ("MODEL_FOLDERS", "HF_ENDPOINT", "SCRIPT_API_URL", "FETCH_PROXY", "SCRIPT_API_KEY"):
        assert (shown[name]["value"], shown[name]["set"]) == (None, True)
    assert shown["MODEL_OFFLINE"]["value"] is True
    fact, _ = json.loads(told["jobs.json"])
    assert (fact["job_id"], fact["status"], fact["script_chars"]) == (
        job["job_id"],
        job["status"],
        len(SCRIPT),
    )
    assert job["job_id"] in told["logs/worker.log"] + told["logs/app.log"]
    assert "said: " in told["logs/worker.log"]
    assert json.loads(told["doctor.json"])["checks"]
    assert json.loads(told["system.json"])["version"]


async def packed_log(studio: Studio) -> str:
    answer = await studio.http.get("/api/support-bundle")
    assert answer.status_code == 200
    return zipfile.ZipFile(io.BytesIO(answer.content)).read("logs/worker.log").decode("utf-8")


async def test_of_what_jobs_said_the_newest_is_taken_out_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support_bundle, "MAX_SENTENCES", 2)
    given: list[int] = []
    made = Redactor.__init__

    def noted(self: Redactor, **options: Any) -> None:
        options["secrets"] = list(options["secrets"])
        given.append(sum(secret is not None and "sentence" in secret for secret in options["secrets"]))
        made(self, **options)

    monkeypatch.setattr(Redactor, "__init__", noted)
    async with running_studio(tmp_path, **OFFLINE) as studio:
        for script in ("The oldest sentence.", "Short. The newer sentence. The newest sentence. It is."):
            await studio.wait_for(await studio.submit(script_input=script))
        worker_logger.info("draft-1 | The oldest sentence. Short. The newer sentence")
        told = await packed_log(studio)
    assert "draft-1 | The oldest sentence. Short. ***" in told
    # What is not in a text is not looked for in its pieces.
    assert max(given) == 1


async def test_what_cannot_be_cleaned_in_time_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support_bundle, "CLEAN_WITHIN_S", 0.0)
    async with running_studio(tmp_path, **OFFLINE) as studio:
        worker_logger.info("draft-1 | something")
        told = await packed_log(studio)
    assert told == "(what stood before was left out: cleaning it took too long)\n"


async def test_a_log_of_many_pieces_is_packed_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support_bundle, "_PIECE_CHARS", 100)
    async with running_studio(tmp_path, **OFFLINE) as studio:
        for number in range(200):
            worker_logger.info("draft-1 | number %d %s", number, "\n" * (number % 3))
        try:
            raise OSError("x" * 300)
        except OSError:
            worker_logger.exception("draft-1 | broken")
        told = await packed_log(studio)
        kept = (studio.settings.logs_dir / "worker.log").read_text(encoding="utf-8")
    found = re.findall(r"number (\d+)", told)
    assert found == [str(number) for number in range(200)]
    assert told.count("\n") == kept.count("\n")
