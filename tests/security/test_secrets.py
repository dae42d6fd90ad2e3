"""No key, token or setting of `.env` in a log, an error or an answer; and no text of a user forges a log line."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import httpx
import pytest

from backend.engines.worker_env import build_worker_env
from backend.services.job_service import JobService
from backend.services.portrait_fetch import Fetcher
from backend.utils.config import process_environment
from backend.utils.logger import app_logger, job_context, worker_logger
from tests.integration.test_library_over_http import png
from tests.security.routes import ROUTES, filled
from tests.support.raw_asgi import HOST, call
from tests.support.studio import Studio, job_body, running_studio

KEY = "k3y-of-the-house-4711"
SECRETS = {
    "api_key": KEY,
    "fetch_proxy": "http://proxy-user:pr0xy-passw0rd@127.0.0.1:9",
    "hf_endpoint": "https://hf-us3r:hf-t0ken@mirror.example",
    "script_api_url": "http://127.0.0.1:9/v1",
    "script_api_key": "sk-scr1pt-k3y",
    "pip_index_url": "https://pip-us3r:pip-passw0rd@mirror.example/simple",
}
TELLING = [
    KEY,
    "pr0xy-passw0rd",
    "proxy-user",
    "hf-t0ken",
    "pip-passw0rd",
    "sk-scr1pt-k3y",
    "env-t0ken-of-somebody",
    "wr0ng-guess",
]
# How a line of ours begins; whatever else begins so was forged.
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) \[")
FORGED = "2026-01-31T08:00:00.123Z INFO [-] allinone.app: all is well, the key is forged"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def logs_of(studio: Studio) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in studio.settings.logs_dir.glob("*.log*"))


def assert_lines_are_ours(text: str) -> None:
    assert CONTROLS.search(text) is None
    assert "forged" in text, "the text was logged at all"
    for line in text.splitlines():
        assert not line.startswith(FORGED[:30]), line


async def ask_everything(studio: Studio, **headers: str) -> str:
    """Every route once, and some requests that fail deeper inside; all that came back as one text."""
    told = ""
    for method, path in ROUTES:
        if path.endswith("/events"):
            continue
        target = filled(path, "job_zzzzzzzz1")
        answer = await studio.http.request(method, target, headers=headers)
        told += f"{answer.headers}{answer.text}"
    for avatar_url in ("http://pictures.example/a.png?token=of-the-picture", "/etc/passwd", "x.png"):
        answer = await studio.http.post("/api/jobs", json=job_body(avatar_url=avatar_url), headers=headers)
        told += answer.text.replace(avatar_url, "")
    return told


async def test_no_setting_that_is_secret_leaves_in_an_answer_or_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", "env-t0ken-of-somebody")

    def broken(*_args: object) -> None:
        raise RuntimeError(f"x-api-key: {KEY}, Authorization: Bearer {KEY}")

    async with running_studio(tmp_path, log_level="DEBUG", **SECRETS) as studio:
        told = await ask_everything(studio, Authorization=f"Bearer {KEY}")
        for wrong in (
            {"X-API-Key": "wr0ng-guess"},
            {"Authorization": "Bearer wr0ng-guess"},
            {"Cookie": "aio_session=wr0ng-guess"},
        ):
            told += await ask_everything(studio, **wrong)
        for key in ("wr0ng-guess", KEY):
            answer = await studio.http.post("/api/session", json={"key": key})
            told += f"{answer.headers}{answer.text}"
        monkeypatch.setattr(JobService, "body", broken)
        answer = await studio.http.get("/api/jobs/job_zzzzzzzz1", headers={"X-API-Key": KEY})
        assert answer.status_code == 500
        told += answer.text
        logged = logs_of(studio)
        logged += await database_text(studio)
    assert "RuntimeError" in logged
    for secret in TELLING:
        assert secret not in told, secret
        assert secret not in logged, secret


async def database_text(studio: Studio) -> str:
    """All bytes of the database: what is secret is not kept there either, only as a hash."""
    folder = studio.settings.data_dir
    return "".join(path.read_bytes().decode("latin-1") for path in folder.glob("sqlite.db*"))


async def test_the_key_of_the_first_start_is_in_the_terminal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_studio(tmp_path, host="0.0.0.0") as studio:
        printed = capsys.readouterr()
        key = next(word for word in printed.err.split() if word.startswith("aio_"))
        assert (await studio.http.get("/api/jobs", headers={"X-API-Key": key})).status_code == 200
        session = await studio.http.post("/api/session", json={"key": key})
        token = session.headers["set-cookie"].partition("=")[2].partition(";")[0]
        assert (await studio.http.get("/api/jobs")).status_code == 200, "by the cookie"
        kept = logs_of(studio) + await database_text(studio)
        assert key not in kept
        assert key not in printed.out
        assert token not in kept


async def test_a_portrait_s_address_with_a_secret_in_it_is_not_logged(tmp_path: Path) -> None:
    async with running_studio(tmp_path, log_level="DEBUG", fetcher=Fetcher()) as studio:
        url = "http://no-such-name.invalid/a.png?token=wr0ng-guess&signature=wr0ng-guess"
        view = await studio.wait_for(await studio.submit(avatar_url=url))
        assert view["error"]["code"] in {"fetch_failed", "fetch_refused"}
        assert "wr0ng-guess" not in logs_of(studio)
        assert "wr0ng-guess" not in view["message"] + str(view["error"]) + str(view["attempts"])


def test_a_worker_s_environment_holds_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "API_KEY",
        "FETCH_PROXY",
        "PIP_INDEX_URL",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "SOME_TOKEN",
    ):
        monkeypatch.setenv(name, "env-t0ken-of-somebody")
    assert "env-t0ken-of-somebody" not in str(build_worker_env(process_environment()))


@pytest.mark.parametrize(
    "text",
    [
        f"a\r\n{FORGED}",
        f"a\n{FORGED}",
        f"a\r{FORGED}",
        f"a\x0b{FORGED}",
        f"a\x0c{FORGED}",
        f"a\x85{FORGED}",
        f"a\u2028{FORGED}",
        f"\x1b[2K\x1b[1A{FORGED}",
        f"\x1b]0;title\x07{FORGED}",
        f"a\x08\x08{FORGED}",
        f"\x9b31m{FORGED}",
    ],
    ids=ascii,
)
async def test_text_of_a_user_forges_no_line_of_a_log(tmp_path: Path, text: str) -> None:
    async with running_studio(tmp_path, log_level="DEBUG") as studio:
        with job_context(text):
            app_logger.warning("said %s", text)
            worker_logger.warning(text)
            logging.getLogger("uvicorn.error").warning("%s", text)
        try:
            raise ValueError(text)
        except ValueError:
            app_logger.exception("failed with %r", text)
            app_logger.error("failed: %s", text, exc_info=True)
        assert_lines_are_ours(logs_of(studio))


async def test_what_a_request_carries_forges_no_line_of_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"x\r\n{FORGED}\x1b[31m"
    encoded = (
        text.encode()
        .replace(b"\r", b"%0d")
        .replace(b"\n", b"%0a")
        .replace(b"\x1b", b"%1b")
        .replace(b" ", b"%20")
    )

    async def broken(_self: object, job_id: str) -> None:
        raise ValueError(f"no {job_id}")

    async with running_studio(tmp_path, log_level="DEBUG") as studio:
        app = studio.http._transport.app  # type: ignore[attr-defined]
        monkeypatch.setattr(JobService, "body", broken)
        answer = await call(app, "GET", b"/api/jobs/" + encoded, headers=(HOST,))
        assert answer.status == 500
        monkeypatch.undo()
        job_id = await studio.submit(title=text, script_input=text, preferred_engine="wan2gp")
        await studio.wait_for(job_id)
        files = {"image_file": (text, png(), "image/png")}
        await studio.http.post("/api/avatars", files=files, data={"name": text})
        assert_lines_are_ours(logs_of(studio))


async def test_lines_of_a_log_can_be_told_from_what_they_quote(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        app_logger.warning("plain")
        try:
            raise httpx.InvalidURL("two\nlines")
        except httpx.InvalidURL:
            app_logger.exception("with a traceback")
        lines = (studio.settings.logs_dir / "app.log").read_text(encoding="utf-8").splitlines()
        ours = [line for line in lines if LINE.match(line)]
        assert any(line.endswith("plain") for line in ours)
        assert all(line.startswith(" ") for line in lines if line not in ours), (
            "what belongs to a line is indented"
        )
