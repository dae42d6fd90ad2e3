"""The Studio and what is around it: drafts kept, sentences, speakers, quality, the queue's drawer, the first visit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import STEP_TIMEOUT_MS, Complaints, OpenPage
from tests.e2e.studio import Studio, running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A cold worker on a small machine may need minutes.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def is_saved(page: Page) -> None:
    page.locator(".saved", has_text="Saved").wait_for()


def test_what_is_written_is_found_in_another_browser(open_page: OpenPage, complaints: Complaints) -> None:
    first = open_page()
    with first.expect_response(
        lambda answer: "/api/drafts/" in answer.url and answer.request.method == "PUT"
    ):
        first.fill("#script", "Begun on the computer, <b>ended</b> on the phone.")
    is_saved(first)
    second = open_page(viewport={"width": 390, "height": 800})
    assert second.input_value("#script") == "Begun on the computer, <b>ended</b> on the phone."
    assert complaints == []


def draft_of(studio: Studio) -> dict[str, Any]:
    return dict(studio.get("/api/drafts/studio")["body"])


# Saving fails while the tab says so; Playwright's routes do not see what a page sends when it is left.
SAVE_NOTHING = """
  const send = window.fetch;
  window.fetch = (address, options) =>
    options?.method === "PUT" && sessionStorage.getItem("away") ? Promise.reject(new TypeError()) : send(address, options);
"""


def test_what_is_written_while_the_service_is_away_outlives_a_reload(
    open_page: OpenPage, studio: Studio
) -> None:
    page = open_page()
    page.fill("#script", "What the service has.")
    is_saved(page)
    page.add_init_script(SAVE_NOTHING)
    page.evaluate(f"() => {{ {SAVE_NOTHING} sessionStorage.setItem('away', 'yes'); }}")
    page.fill("#script", "Written while it was away.")
    page.locator(".saved.is-warning").wait_for()
    page.reload()
    # It was asked for what it has, and could not be told.
    page.locator(".saved.is-warning").wait_for()
    assert page.input_value("#script") == "Written while it was away."
    assert draft_of(studio)["script"] == "What the service has."
    page.evaluate("sessionStorage.removeItem('away')")
    is_saved(page)
    assert draft_of(studio)["script"] == "Written while it was away."


def test_two_windows_keep_what_each_has_changed(open_page: OpenPage, studio: Studio) -> None:
    computer = open_page()
    computer.fill("#script", "The first words.")
    is_saved(computer)
    phone = open_page(viewport={"width": 390, "height": 800})
    assert phone.input_value("#script") == "The first words."
    is_saved(phone)
    with computer.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
        computer.fill("#script", "The last words.")
    with phone.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
        phone.locator('input[name=aspect][value="9:16"]').check(force=True)
    phone.wait_for_function("() => document.querySelector('#script').value === 'The last words.'")
    kept = draft_of(studio)
    assert (kept["script"], kept["aspect"]) == ("The last words.", "9:16")

    # The same words cannot be mixed: the ones that came second stay, and the first are offered.
    with computer.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
        computer.fill("#script", "Words of the computer.")
    phone.fill("#script", "Words of the phone.")
    phone.get_by_text("The other version: “Words of the computer.”").wait_for()
    phone.get_by_role("button", name="Use the other version").click()
    assert phone.input_value("#script") == "Words of the computer."
    phone.get_by_text("The other version: “Words of the phone.”").wait_for()
    phone.get_by_role("button", name="Keep this one").click()
    phone.locator(".what .notice").wait_for(state="detached")


def test_two_speakers_have_names_and_the_script_follows_them(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    page.get_by_label("Two people talk to each other").check()
    page.fill("#script", "A: Good morning.\nB: Good morning to you.")
    page.fill("#speaker-a", "Anna")
    page.fill("#speaker-b", "Bo")
    page.keyboard.press("Tab")
    assert page.input_value("#script") == "Anna: Good morning.\nBo: Good morning to you."
    chips = page.locator(".sentence")
    chips.nth(1).wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.sentence .badge')].map((e) => e.textContent).join() === 'Anna,Bo'"
    )
    page.fill("#speaker-b", "anna")
    page.keyboard.press("Tab")
    assert "two different names" in page.locator("#generate-why").inner_text()
    assert complaints == []


def test_a_sentence_can_be_heard_and_a_pause_is_put_where_one_writes(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    page.fill("#script", "One. Two.")
    page.evaluate("document.querySelector('#script').setSelectionRange(4, 4)")
    page.get_by_role("button", name="Pause 1 s").click()
    assert page.input_value("#script") == "One.[pause 1s] Two."
    page.locator(".sentence").nth(1).wait_for()
    with page.expect_response("**/preview") as answer:
        page.locator(".sentence-play").nth(1).click()
    assert answer.value.headers["content-type"] == "audio/wav"
    assert answer.value.request.post_data_json == {
        "text": "Two.",
        "speed": 1,
        "pitch": 0,
        "speech_engine": "auto",
    }
    assert complaints == []


def test_quality_chooses_engine_and_preset(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    studio.post("/api/queue/pause", {})
    page = open_page()
    # Nothing but drafts can be made here, and a new user begins with one.
    assert page.locator('input[name=quality][value="draft"]').is_checked()
    page.locator(".segment", has_text="Best").click()
    page.fill("#script", "With care.")
    page.click("#generate")
    page.wait_for_selector(".job-panel")
    job = studio.get("/api/jobs")["data"][0]
    assert (job["requested_engine"], job["preset"]) == ("auto", "quality")
    studio.post(f"/api/jobs/{job['job_id']}/cancel", {})
    studio.post("/api/queue/resume", {})
    assert complaints == []


def test_the_queue_is_ordered_and_emptied_from_any_screen(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    studio.post("/api/queue/pause", {})
    body = {
        "voice_id": studio.get("/api/voices")["data"][0]["voice_id"],
        "avatar_url": studio.get("/api/avatars")["data"][0]["avatar_id"],
        "script_input": "One of three.",
        "preferred_engine": "draft",
    }
    made = [studio.post("/api/jobs", {**body, "title": title})["job_id"] for title in ("one", "two", "three")]
    page = open_page()
    page.goto(f"{studio.url}/#/voices")
    page.locator("aio-voices-screen").wait_for()
    page.click("#queue-button")
    drawer = page.get_by_role("dialog")
    rows = drawer.locator(".queue-row[data-status=queued]")
    rows.nth(2).wait_for()
    rows.nth(2).get_by_role("button", name="Earlier").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.queue-row[data-status=queued] a')].map((e) => e.textContent).join() === 'one,three,two'"
    )
    positions = {job_id: studio.get(f"/api/jobs/{job_id}")["queue_position"] for job_id in made}
    assert [positions[job_id] for job_id in made] == [1, 3, 2]
    for left in (2, 1, 0):
        rows.first.get_by_role("button", name="Cancel").click()
        page.wait_for_function(
            "(left) => document.querySelectorAll('.queue-row[data-status=queued]').length === left", arg=left
        )
    drawer.get_by_role("button", name="Resume").click()
    drawer.get_by_role("button", name="Pause the queue").wait_for()
    assert not studio.get("/api/queue")["paused"]
    assert complaints == []


# What moved while the progress was shown, and every value it had. The end has another look than the progress.
WATCH_SHIFTS = """() => {
  window.shifted = 0;
  window.seen = new Set();
  const bar = () => document.querySelector(".job-panel .progress:not([hidden]) [role=progressbar]");
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (bar()) window.shifted += entry.value;
  }).observe({ type: "layout-shift" });
  const note = () => bar() && window.seen.add(bar().ariaValueNow);
  new MutationObserver(note).observe(document.body, { subtree: true, attributes: true, childList: true });
}"""
# A hundredth of the window: what nobody sees. A line more or less is several times that.
MOST_SHIFT = 0.01


def test_nothing_moves_while_the_progress_does(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page()
    page.fill("#script", " ".join(f"This is sentence number {n}." for n in range(1, 7)))
    page.locator(".sentence").nth(5).wait_for()
    is_saved(page)
    page.click("#generate")
    page.wait_for_function("() => Number(document.querySelector('[role=progressbar]')?.ariaValueNow) > 0")
    page.evaluate(WATCH_SHIFTS)
    page.wait_for_selector("aio-stage [data-status=completed]")
    assert page.evaluate("window.seen.size") > 2, "the percentage did not move"
    assert page.evaluate("window.shifted") < MOST_SHIFT
    assert complaints == []


def test_a_chosen_theme_is_kept(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page(color_scheme="dark")
    root = page.locator("html")
    assert root.get_attribute("data-theme") == "dark"
    page.get_by_role("button", name="Theme: same as the system").click()
    assert root.get_attribute("data-theme") == "light"
    page.reload()
    page.get_by_role("button", name="Theme: light").wait_for()
    assert root.get_attribute("data-theme") == "light"
    assert complaints == []


def test_the_first_visit_leads_to_a_video_that_plays(
    browser: Browser, browser_path: str, tmp_path: Path, complaints: Complaints
) -> None:
    with running_studio(tmp_path, first_run=True) as studio:
        context = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 900})
        context.set_default_timeout(STEP_TIMEOUT_MS)
        page = context.new_page()
        complaints.watch(page)
        page.goto(studio.url)
        start = page.locator("aio-start-screen")
        start.locator(".start-path").wait_for()
        assert str(studio.data_dir) in start.inner_text()
        start.locator('[data-check="ffmpeg"]').wait_for()
        start.get_by_role("button", name="制作演示视频").click()
        page.wait_for_function("() => document.querySelector('.start-demo video')?.currentTime > 0.2")
        start.get_by_role("button", name="进入创作", exact=True).click()
        page.locator("#script").wait_for()
        page.goto(studio.url)
        page.locator("#script").wait_for()
        assert page.locator("aio-start-screen").count() == 0
        context.close()
    assert complaints == []
