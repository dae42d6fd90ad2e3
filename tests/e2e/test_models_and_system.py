"""The Models and System screens against the real service; downloads against answers of a service that is made up."""

from __future__ import annotations

import json
import time
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
# Longer than two presses of Enter take.
SLOW_ANSWER_S = 0.7
# Longer than a pane that follows the service waits between two looks.
NEXT_LOOKS_MS = 6000
PROBLEM = {"code": "internal", "detail": "made up by a test", "status": 500}


def open_tab(page: Page, tab: str) -> None:
    page.evaluate("tab => { location.hash = '#/' + tab; }", tab)


def confirm(page: Page, action: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=action).click()


def fail(route: Route) -> None:
    route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(PROBLEM))


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
    card.get_by_role("button", name="Resume").click()
    card.get_by_role("button", name="Pause").wait_for()
    model.update(state="ready", downloaded_bytes=model["bytes"], speed_bytes_s=None, eta_s=None, usable=True)
    card.get_by_role("button", name="Check files").wait_for()
    assert asked == ["download", "pause", "resume"]
    assert card.get_by_role("progressbar").count() == 0
    assert complaints == []


def test_two_enters_make_one_key(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page()
    posts: list[str] = []

    def answer(route: Route) -> None:
        if route.request.method == "POST":
            posts.append(route.request.url)
            time.sleep(SLOW_ANSWER_S)
        route.continue_()

    page.route("**/api/keys", answer)
    open_tab(page, "system/keys")
    page.locator("#key-name").fill("twice")
    page.locator("aio-keys-pane form").evaluate(
        "form => { const button = form.querySelector('button');"
        " for (let n = 0; n < 2; n++) form.requestSubmit(button); }"
    )
    page.locator(".secret").wait_for()
    page.locator("aio-keys-pane tbody tr", has_text="twice").wait_for()
    assert len(posts) == 1
    assert page.locator("aio-keys-pane form button").get_attribute("aria-disabled") is None
    assert complaints == []


def test_a_failed_action_stays_told_while_the_pane_looks_again(open_page: OpenPage, studio: Studio) -> None:
    """A worker that is not there: its restart is asked for once, shown as under way, and fails in words."""
    machine: dict[str, Any] = studio.get("/api/system")
    machine["workers"] = [
        {**machine["workers"][0], "name": "moss_nano", "state": "unavailable", "job_id": None}
    ]
    asked: list[Route] = []
    page = open_page()
    page.route(
        "**/api/system",
        lambda route: route.fulfill(status=200, content_type="application/json", body=json.dumps(machine)),
    )
    page.route("**/api/doctor/fix", lambda route: asked.append(route))
    open_tab(page, "system/engines")
    button = page.locator("aio-engines-pane [data-act=moss_nano]")
    button.wait_for()
    button.evaluate(
        "button => { button.focus(); button.click();"
        " document.querySelector('[data-act=moss_nano]').click(); }"
    )
    assert button.get_attribute("aria-disabled") == "true"
    assert "Restarting" in button.inner_text()
    # The rows are drawn anew meanwhile.
    page.wait_for_timeout(NEXT_LOOKS_MS)
    assert button.get_attribute("aria-disabled") == "true"
    assert len(asked) == 1
    fail(asked[0])
    problem = page.locator("aio-engines-pane .notice-error")
    problem.wait_for()
    assert button.evaluate("button => button === document.activeElement")
    page.wait_for_timeout(NEXT_LOOKS_MS)
    assert problem.is_visible()


def test_a_look_that_works_again_takes_its_own_failure_away(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/api/system", fail)
    open_tab(page, "system/machine")
    problem = page.locator("aio-machine-pane .notice-error")
    problem.wait_for()
    page.unroute("**/api/system")
    problem.wait_for(state="detached")


def test_what_was_typed_into_the_settings_stays_in_another_language(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    open_tab(page, "system/settings")
    days = page.locator('[data-setting="KEEP_JOBS_DAYS"] input')
    days.fill("77")
    page.click("#lang-zh-CN")
    page.get_by_role("button", name="保存更改").wait_for()
    assert days.input_value() == "77"
    assert page.locator(".settings-bar button").get_attribute("aria-disabled") == "false"
    assert complaints == []


def test_the_answers_before_a_batch_is_cancelled_name_what_they_do(
    open_page: OpenPage, complaints: Complaints
) -> None:
    batch = {
        "batch_id": "b1",
        "title": "Spring",
        "total": 3,
        "counts": {},
        "progress": 10,
        "finished": False,
        "created_at": "2026-01-01T00:00:00Z",
    }
    page = open_page(locale="zh-CN")
    page.route(
        "**/api/batches*",
        lambda route: route.fulfill(
            status=200, content_type="application/json", body=json.dumps({"data": [batch]})
        ),
    )
    open_tab(page, "system/batches")
    page.locator("aio-batches-pane tbody button").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button").all_inner_texts() == ["继续制作", "取消整批任务"]
    dialog.get_by_role("button", name="继续制作").click()
    dialog.wait_for(state="detached")
    assert complaints == []


def test_a_slow_answer_of_the_log_does_not_overwrite_that_of_a_later_filter(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    waiting: list[Route] = []

    def answer(route: Route) -> None:
        told = "newer" if "q=newer" in route.request.url else "older"
        line = {
            "at": "2026-01-01T00:00:00Z",
            "level": "INFO",
            "source": "app",
            "message": told,
            "job_id": None,
        }
        body = json.dumps({"data": [line], "next_cursor": None})
        if "q=older" in route.request.url:
            waiting.append(route)
            return
        route.fulfill(status=200, content_type="application/json", body=body)
        for late in waiting:
            late.fulfill(status=200, content_type="application/json", body=body.replace("newer", "older"))
        waiting.clear()

    page.route("**/api/logs*", answer)
    open_tab(page, "system/logs")
    page.locator(".log-line").wait_for()
    text = page.locator("aio-logs-pane").get_by_label("Contains")
    with page.expect_request("**/api/logs*q=older*"):
        text.fill("older")
    with page.expect_response("**/api/logs*q=older*"):
        text.fill("newer")
    page.wait_for_timeout(200)
    assert page.locator(".log-message").all_inner_texts() == ["newer"]
    assert complaints == []


def test_a_source_of_models_says_that_it_was_kept(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    page = open_page()
    open_tab(page, "models")
    sources = page.locator("aio-model-sources")
    choice = sources.locator("select")
    before = choice.input_value()
    choice.select_option(label=choice.locator("option:not(:checked)").first.inner_text())
    sources.locator(".notice-done").wait_for()
    choice.select_option(before)
    assert complaints == []
