"""From a script to a video in the browser, with the real service and the real draft engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Complaints, OpenPage, choose_engine
from tests.e2e.studio import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

# A cold worker on a small machine may need minutes.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SENTENCE = "Hello, and welcome to the studio."
# Long enough to be caught in the middle on any machine.
LONG_SCRIPT = " ".join(f"This is sentence number {n}, and it takes a while to say." for n in range(1, 41))
MARKUP = '<img src=x onerror="window.hacked=1"><b>bold</b> words.'

# Every value the progress bar has had, in order.
RECORD_PROGRESS = """() => {
  window.seen = [];
  const note = () => {
    const bar = document.querySelector("[role=progressbar]");
    const value = bar && !bar.closest("[hidden]") && bar.getAttribute("aria-valuenow");
    if (value && window.seen.at(-1) !== Number(value)) window.seen.push(Number(value));
  };
  new MutationObserver(note).observe(document.body, { subtree: true, attributes: true, childList: true });
}"""

PLAY = """async (video) => {
  await video.play();
  await new Promise((done) => {
    video.addEventListener("timeupdate", () => video.currentTime > 0.2 && done());
  });
  return { duration: video.duration, width: video.videoWidth, cues: video.textTracks[0].cues.length };
}"""


def start(page: Page, script: str) -> str:
    """Type the script, press the button; returns the job's id."""
    page.fill("#script", script)
    page.click("#generate")
    page.wait_for_selector(".job-panel")
    job_id = page.locator(".job-panel").get_attribute("data-job")
    assert job_id
    return job_id


def wait_for(page: Page, status: str) -> None:
    page.wait_for_selector(f"aio-stage [data-status={status}]")


def is_under_way(page: Page) -> None:
    page.wait_for_function("() => Number(document.querySelector('[role=progressbar]')?.ariaValueNow) > 0")


def test_a_script_becomes_a_video_that_plays_and_downloads(
    open_page: OpenPage, complaints: Complaints, tmp_path: Path
) -> None:
    page = open_page()
    page.evaluate(RECORD_PROGRESS)
    job_id = start(page, SENTENCE)
    wait_for(page, "completed")

    seen = page.evaluate("window.seen")
    assert len([value for value in seen if 0 < value < 100]) >= 2, "the percentage did not move"
    assert seen == sorted(seen)
    assert page.locator('[data-notice="draft"]').is_visible()

    played = page.eval_on_selector("video", PLAY)
    assert played["duration"] > 1
    assert played["width"] > 0
    assert played["cues"] >= 1

    with page.expect_download() as download:
        page.click("#download-video")
    target = tmp_path / "video.mp4"
    download.value.save_as(target)
    assert target.read_bytes()[4:8] == b"ftyp"
    assert download.value.suggested_filename.endswith(".mp4")

    assert page.locator(f'aio-history [data-job="{job_id}"] [data-status=completed]').is_visible()
    assert complaints == []


def test_a_reload_in_mid_job_finds_the_job_again_and_it_can_be_cancelled(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    job_id = start(page, LONG_SCRIPT)
    is_under_way(page)
    page.reload()
    page.wait_for_selector(f'.job-panel[data-job="{job_id}"]')
    is_under_way(page)
    assert page.input_value("#script") == LONG_SCRIPT

    page.get_by_role("button", name="Cancel").click()
    wait_for(page, "cancelled")
    assert page.locator(f'aio-history [data-job="{job_id}"] [data-status=cancelled]').is_visible()
    assert page.get_by_role("button", name="Try again").is_visible()
    assert complaints == []


def test_a_second_tab_sees_the_same_job(open_page: OpenPage, complaints: Complaints) -> None:
    first, second = open_page(), open_page()
    job_id = start(first, LONG_SCRIPT)
    card = second.locator(f'aio-history [data-job="{job_id}"]')
    card.wait_for()
    card.get_by_role("link").click()
    second.get_by_role("button", name="Cancel").click()
    wait_for(first, "cancelled")
    wait_for(second, "cancelled")
    assert complaints == []


def test_markup_in_a_script_is_shown_as_text(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page()
    job_id = start(page, MARKUP)
    wait_for(page, "completed")
    assert page.locator("#stage-title").inner_text() == MARKUP
    assert MARKUP in page.locator(f'aio-history [data-job="{job_id}"] .history-title').inner_text()
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None
    assert complaints == []


def test_an_engine_that_is_not_installed_fails_with_its_fix_and_another_one_can_finish(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    choose_engine(page, "wan2gp")
    assert "not installed" in page.locator("#engine-note").inner_text()
    start(page, SENTENCE)
    wait_for(page, "failed")
    box = page.locator("aio-stage .notice-error")
    assert "engine_not_installed" in box.inner_text()
    assert box.locator(".notice-hint").inner_text()
    page.get_by_role("button", name="Try with any ready engine").click()
    wait_for(page, "completed")
    assert complaints == []


def test_the_fallback_warning_is_shown_with_its_reason(open_page: OpenPage) -> None:
    page = open_page()
    choose_engine(page, "infinitetalk")
    start(page, SENTENCE)
    # The news that another engine took over comes before the job's attempts, which name the first one.
    page.locator('[data-notice="fallback"]', has_text="InfiniteTalk").wait_for()


def test_a_chinese_page_gives_cause_and_fix_in_chinese_and_keeps_the_services_words(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page(locale="zh-CN")
    choose_engine(page, "infinitetalk")
    assert "还没有安装" in page.locator("#engine-note").inner_text()
    start(page, SENTENCE)
    wait_for(page, "failed")
    page.locator('[data-notice="fallback"]', has_text="InfiniteTalk 还没有安装。").wait_for()
    box = page.locator("aio-stage .notice-error")
    assert "Wan2GP 还没有安装。" in box.inner_text()
    assert "install_wan2gp.bat" in box.locator(".notice-hint").inner_text()
    assert "is not installed" not in page.locator("aio-stage").inner_text()
    box.get_by_text("详情").click()
    assert "Wan2GP is not installed" in box.inner_text()
    assert complaints == []


def test_a_chinese_page_says_what_a_running_video_is_at(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page(locale="zh-CN")
    start(page, LONG_SCRIPT)
    is_under_way(page)
    assert page.locator(".progress-message").inner_text().startswith("正在")
    page.get_by_role("button", name="取消").click()
    wait_for(page, "cancelled")
    assert complaints == []


def test_a_job_is_followed_by_polling_when_the_event_stream_is_down(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/api/events", lambda route: route.abort())
    page.reload()
    page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
    start(page, SENTENCE)
    wait_for(page, "completed")


def test_settings_of_an_old_video_can_be_used_again_and_it_can_be_deleted(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    page = open_page()
    page.get_by_text("9:16").click()
    job_id = start(page, "A short one.")
    wait_for(page, "completed")
    page.get_by_role("button", name="New video").click()
    page.get_by_text("16:9").click()
    page.fill("#script", "Something else")
    page.locator(f'aio-history [data-job="{job_id}"]').get_by_role("link").click()
    page.get_by_role("button", name="Use these settings").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert page.input_value("#script") == "Something else"
    page.get_by_role("button", name="Use these settings").click()
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    page.wait_for_function("() => document.querySelector('#script').value === 'A short one.'")
    assert page.locator('input[name=aspect][value="9:16"]').is_checked()

    page.locator(f'aio-history [data-job="{job_id}"]').get_by_role("link").click()
    page.locator("aio-stage").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert page.locator(f'aio-history [data-job="{job_id}"]').count() == 1
    page.locator("aio-stage").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator(f'aio-history [data-job="{job_id}"]').wait_for(state="detached")
    assert all(job["job_id"] != job_id for job in studio.get("/api/jobs")["data"])
    assert complaints == []


@pytest.mark.parametrize("subtitles", ["burn_in", "none"])
def test_a_video_without_a_subtitle_file_track_still_plays(open_page: OpenPage, subtitles: str) -> None:
    page = open_page()
    page.locator(f'input[name=subtitles][value="{subtitles}"]').check(force=True)
    start(page, "A short one.")
    wait_for(page, "completed")
    assert page.eval_on_selector("video", "async (video) => { await video.play(); return !video.error; }")
    assert page.evaluate("[...document.querySelectorAll('track')].every((track) => !track.default)")
