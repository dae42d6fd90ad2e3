"""The Models and System screens against the real service; downloads against answers of a service that is made up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Complaints, OpenPage
from tests.e2e.screens import finished_job
from tests.e2e.studio import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MARKUP = '<img src=x onerror="window.hacked=1">'
MODEL = "moss-tts-nano"


def open_tab(page: Page, tab: str) -> None:
    page.evaluate("tab => { location.hash = '#/' + tab; }", tab)


def confirm(page: Page, action: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=action).click()


def test_a_key_is_shown_once_and_can_be_revoked(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    page = open_page()
    open_tab(page, "system/keys")
    page.locator("#key-name").fill(MARKUP)
    page.get_by_role("button", name="Create a key").click()
    secret = page.locator(".secret").inner_text()
    assert len(secret) > 20
    row = page.locator("aio-keys-pane tbody tr", has_text=MARKUP)
    row.wait_for()
    assert secret not in row.inner_text()
    open_tab(page, "system/machine")
    open_tab(page, "system/keys")
    row.wait_for()
    assert page.locator(".secret").count() == 0
    row.get_by_role("button", name="Revoke").click()
    confirm(page, "Revoke")
    row.wait_for(state="detached")
    assert not [key for key in studio.get("/api/keys")["data"] if key["name"] == MARKUP]
    assert page.evaluate("window.hacked") is None
    assert complaints == []


def test_a_setting_is_checked_kept_marked_and_taken_back(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    page = open_page()
    open_tab(page, "system/settings")
    days = page.locator('[data-setting="KEEP_JOBS_DAYS"]')
    save = page.get_by_role("button", name="Save changes")
    days.locator("input").fill("-1")
    save.click()
    assert days.locator("input").evaluate("input => input.validity.valid") is False
    days.locator("input").fill("45")
    save.click()
    days.get_by_text("changed", exact=True).wait_for()
    page.reload()
    days.get_by_text("changed", exact=True).wait_for()
    assert days.locator("input").input_value() == "45"
    days.get_by_role("button", name="Back to the default").click()
    save.click()
    days.get_by_text("changed", exact=True).wait_for(state="detached")
    values = {item["name"]: item["value"] for item in studio.get("/api/settings")["data"]}
    assert values["KEEP_JOBS_DAYS"] == 30
    # What the environment decides is shown and cannot be typed over.
    assert page.locator('[data-setting="CPU_THREADS"] input').is_disabled()
    assert complaints == []


def test_a_reading_is_added_changed_and_deleted(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page(locale="zh-CN")
    open_tab(page, "system/dictionary")
    for reading in ("chóng qìng", "zhòng qìng"):
        page.locator("#term").fill("重庆")
        page.locator("#reading").fill(reading)
        page.locator("aio-dictionary-pane form button").click()
        row = page.locator("aio-dictionary-pane tbody tr", has_text="重庆")
        row.get_by_text(reading).wait_for()
    row.get_by_role("button", name="删除").click()
    confirm(page, "删除")
    row.wait_for(state="detached")
    assert complaints == []


def test_an_address_that_may_not_be_told_is_refused_in_words(open_page: OpenPage) -> None:
    page = open_page()
    open_tab(page, "system/webhooks")
    page.locator("#hook-url").fill("http://127.0.0.1:9/hook")
    page.locator("aio-webhooks-pane form").first.get_by_role("button", name="Add").click()
    problem = page.locator("aio-webhooks-pane .notice-error")
    problem.wait_for()
    assert "fetch_refused" in problem.inner_text()


def test_the_log_is_filtered_by_the_service(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page()
    open_tab(page, "system/logs")
    page.locator(".log-line").first.wait_for()
    page.locator("aio-logs-pane").get_by_label("Contains").fill("starting boot-")
    page.wait_for_function(
        "() => { const lines = [...document.querySelectorAll('.log-message')];"
        " return lines.length > 0 && lines.every((line) => line.textContent.includes('starting boot-')); }"
    )
    page.locator("aio-logs-pane").get_by_label("Contains").fill("no line says this")
    page.get_by_text("No line fits this filter.").wait_for()
    assert complaints == []


def test_room_is_freed_without_losing_a_video(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    job_id = finished_job(studio)
    page = open_page()
    open_tab(page, "models")
    ledger = page.locator("aio-disk-ledger")
    ledger.get_by_text("Videos", exact=True).wait_for()
    ledger.get_by_role("button", name="Free up to").click()
    dialog = page.get_by_role("dialog")
    assert "No video, voice or portrait is lost" in dialog.inner_text()
    confirm(page, "Free the space")
    ledger.locator(".notice-done").wait_for()
    assert studio.get(f"/api/jobs/{job_id}")["artifacts"]["video"]
    assert complaints == []


def test_a_download_shows_its_speed_can_be_paused_and_ends_ready(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    """The service's answers are made up: no test downloads a model."""
    models: dict[str, Any] = studio.get("/api/models")
    model = next(item for item in models["data"] if item["id"] == MODEL)
    asked: list[str] = []

    def answer(route: Route) -> None:
        action = route.request.url.rsplit("/", 1)[1]
        if route.request.method == "POST":
            asked.append(action)
            half = model["bytes"] // 2
            moving = {"state": "downloading", "downloaded_bytes": half, "speed_bytes_s": 12e6, "eta_s": 40.0}
            resting = {"state": "paused", "speed_bytes_s": None, "eta_s": None}
            model.update(resting if action == "pause" else moving)
        body = models if action == "models" else model
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    page = open_page()
    page.route("**/api/models**", answer)
    open_tab(page, "models")
    card = page.locator(f'[data-model="{MODEL}"]')
    card.get_by_role("button", name="Download").click()
    bar = card.get_by_role("progressbar")
    bar.wait_for()
    told = bar.get_attribute("aria-valuetext") or ""
    assert "50%" in told
    assert "12 MB/s" in told
    assert "40 s left" in told
    card.get_by_role("button", name="Pause").click()
    card.get_by_role("button", name="Go on").click()
    card.get_by_role("button", name="Pause").wait_for()
    model.update(state="ready", downloaded_bytes=model["bytes"], speed_bytes_s=None, eta_s=None, usable=True)
    card.get_by_role("button", name="Check files").wait_for()
    assert asked == ["download", "pause", "resume"]
    assert card.get_by_role("progressbar").count() == 0
    assert complaints == []
