"""Off loopback nothing is served without a key, and the key is kept only as a hash."""

from __future__ import annotations

import io
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from backend.api.guards import GuardMiddleware, HostPolicy
from backend.main import create_app
from backend.models.errors import ProductError
from backend.services.access import SESSION_S, Access
from backend.services.wrong_keys import MAX_WRONG_KEYS_PER_MINUTE, WrongKeys
from backend.storage.settings_kv import SettingsRepository
from backend.utils.clock import ManualClock
from tests.support.studio import BASE_URL, running_studio, settings_in


class Flags(SettingsRepository):
    """In memory."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = {}

    async def get(self, key: str) -> dict[str, object] | None:
        return self.rows.get(key)

    async def set(self, key: str, value: object) -> None:
        self.rows[key] = dict(value)  # type: ignore[call-overload]


async def made_key(flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Access, str]:
    access = Access(ManualClock())
    await access.load(settings_in(tmp_path, host="0.0.0.0"), flags)
    printed = capsys.readouterr().err
    keys = [word for word in printed.split() if word.startswith("aio_")]
    return access, keys[0] if keys else ""


async def test_the_first_start_off_loopback_makes_a_key_and_shows_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = Flags()
    access, key = await made_key(flags, tmp_path, capsys)
    assert access.accepts_key(key)
    assert not access.accepts_key(key + "x")
    assert key not in str(flags.rows), "only its hash is kept"
    again, shown = await made_key(flags, tmp_path, capsys)
    assert shown == ""
    assert again.accepts_key(key)


async def test_on_loopback_no_key_is_asked_for_unless_one_is_set(tmp_path: Path) -> None:
    access = Access(ManualClock())
    assert access.is_required, "before the settings are known, nothing passes"
    await access.load(settings_in(tmp_path), Flags())
    assert not access.is_required
    await access.load(settings_in(tmp_path, api_key="mine"), Flags())
    assert access.is_required
    assert access.accepts_key("mine")


async def test_where_no_key_can_be_stored_the_service_does_not_start(tmp_path: Path) -> None:
    class Broken(Flags):
        async def set(self, key: str, value: object) -> None:
            raise OSError("disk full")

    access = Access(ManualClock())
    with pytest.raises(OSError, match="disk full"):
        await access.load(settings_in(tmp_path, host="192.0.2.1"), Broken())
    assert access.is_required
    assert not access.accepts_key("")


async def test_a_session_runs_out_and_cannot_be_forged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    access = Access(clock)
    await access.load(settings_in(tmp_path, api_key="mine"), Flags())
    token = access.open_session("mine")
    assert access.accepts_session(token)
    expiry, _, signature = token.partition(".")
    for forged in ("", ".", expiry, f"{int(expiry) + 1}.{signature}", f"{expiry}.{'0' * 64}", "9" * 5000):
        assert not access.accepts_session(forged)
    clock.advance(SESSION_S + 1)
    assert not access.accepts_session(token)


async def test_guessing_the_key_is_slowed_down(tmp_path: Path) -> None:
    from backend.models.errors import RequestError

    clock = ManualClock()
    access = Access(clock)
    await access.load(settings_in(tmp_path, api_key="mine"), Flags())
    codes = []
    for _ in range(MAX_WRONG_KEYS_PER_MINUTE + 1):
        with pytest.raises(RequestError) as caught:
            access.open_session("guess")
        codes.append(caught.value.code.value)
    assert codes == ["unauthorized"] * MAX_WRONG_KEYS_PER_MINUTE + ["rate_limited"]
    clock.advance(61)
    assert access.open_session("mine")


async def test_the_page_logs_in_and_out_over_http(tmp_path: Path) -> None:
    async with running_studio(tmp_path, api_key="mine") as studio:
        assert (await studio.http.get("/api/session")).json() == {"required": True}
        assert (await studio.http.get("/api/jobs")).status_code == 401
        assert (await studio.http.get("/")).status_code == 200
        assert (await studio.http.get("/health")).json() == {"ok": True}
        wrong = await studio.http.post("/api/session", json={"key": "other"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
        right = await studio.http.post("/api/session", json={"key": "mine"})
        assert right.status_code == 204
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert (await studio.http.get("/api/jobs")).status_code == 200
        await studio.http.delete("/api/session")
        assert (await studio.http.get("/api/jobs")).status_code == 401


async def test_before_the_service_is_up_off_loopback_nothing_passes(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path, host="0.0.0.0"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE_URL) as http:
        assert (await http.get("/api/jobs", headers={"X-API-Key": ""})).status_code == 401


async def test_on_loopback_a_login_changes_nothing(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.get("/api/session")).json() == {"required": False}
        answer = await studio.http.post("/api/session", json={"key": "anything"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)


async def test_whoever_guesses_locks_nobody_else_out(tmp_path: Path) -> None:
    access = Access(ManualClock())
    await access.load(settings_in(tmp_path, api_key="mine"), Flags())
    for _ in range(MAX_WRONG_KEYS_PER_MINUTE):
        assert not access.accepts_key("guess", "192.0.2.66")
    assert not access.accepts_key("mine", "192.0.2.66"), "a guess that hits by chance tells nothing"
    assert access.accepts_key("mine", "192.0.2.7")
    assert access.open_session("mine", "192.0.2.7")


async def test_an_old_key_in_a_program_of_this_machine_locks_no_other_program_out(tmp_path: Path) -> None:
    access = Access(ManualClock())
    await access.load(settings_in(tmp_path, api_key="mine"), Flags())
    for here in ("127.0.0.1", "::1"):
        for _ in range(MAX_WRONG_KEYS_PER_MINUTE * 2):
            assert not access.accepts_key("old", here)
        assert access.accepts_key("mine", here)


async def test_wrong_keys_of_many_callers_are_counted_within_a_bound() -> None:
    wrong = WrongKeys(ManualClock())
    for number in range(5000):
        wrong.note(f"caller {number}")
    assert len(wrong._tries) <= 1000


async def test_a_key_that_was_never_shown_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between showing and keeping: the next start shows a new one, and nothing was kept unseen."""

    class Dying(Flags):
        async def set(self, key: str, value: object) -> None:
            raise KeyboardInterrupt

    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    flags = Dying()
    with pytest.raises(KeyboardInterrupt):
        await Access(ManualClock()).load(settings_in(tmp_path, host="0.0.0.0"), flags)
    assert "aio_" in shown.getvalue()
    assert flags.rows == {}


async def test_without_a_terminal_to_show_a_key_in_the_service_says_why_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = Flags()
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(ProductError, match="no terminal") as caught:
        await Access(ManualClock()).load(settings_in(tmp_path, host="0.0.0.0"), flags)
    assert "API_KEY" in str(caught.value.hint)
    assert flags.rows == {}


@pytest.mark.parametrize("row", [{}, {"sha256": "zz"}, {"sha256": "00"}, {"sha256": None}])
async def test_a_damaged_key_says_why_the_service_does_not_start(
    tmp_path: Path, row: dict[str, object]
) -> None:
    flags = Flags()
    flags.rows["api_key"] = row
    access = Access(ManualClock())
    with pytest.raises(ProductError, match="damaged"):
        await access.load(settings_in(tmp_path, host="0.0.0.0"), flags)
    assert not access.accepts_key("")


@pytest.mark.parametrize("cookie", ["9999999999.\xe9", "\xe9.\xe9", "9999999999." + "\xff" * 64])
async def test_a_cookie_of_any_bytes_is_answered_with_401(tmp_path: Path, cookie: str) -> None:
    async with running_studio(tmp_path, api_key="mine") as studio:
        answer = await studio.http.get(
            "/api/jobs", headers=[(b"cookie", b"aio_session=" + cookie.encode("latin-1"))]
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_opened_to_the_network_by_uvicorn_alone_it_serves_only_this_machine() -> None:
    """`uvicorn backend.main:app --host 0.0.0.0` without HOST in .env: no key was made."""
    app = GuardMiddleware(
        PlainTextResponse("in"), hosts=HostPolicy("127.0.0.1", ()), key=NoKey(), upload_limits={}
    )
    assert await status_at(app, ("127.0.0.1", 8000)) == 200
    assert await status_at(app, ("::1", 8000)) == 200
    assert await status_at(app, ("::ffff:127.0.0.1", 8000)) == 200
    for reached in ("192.168.1.20", "::ffff:192.168.1.20", "fe80::1", "10.0.0.1"):
        assert await status_at(app, (reached, 8000)) == 403


class NoKey:
    """The policy of a service on loopback."""

    is_required = False

    def accepts_key(self, key: str, caller: str) -> bool:
        return False

    def accepts_session(self, token: str) -> bool:
        return False


async def status_at(app: GuardMiddleware, server: tuple[str, int]) -> int:
    """The status for a request that claims to be for localhost, at this local end of the connection."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/jobs",
        "headers": [(b"host", b"localhost:8000")],
        "server": server,
        "client": ("192.168.1.66", 50_000),
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])
