"""The page itself: languages, keyboard, narrow screens, uploads, many videos, a service that goes away."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Complaints, OpenPage
from tests.e2e.studio import ROOT, Studio, running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page

# A cold worker on a small machine may need minutes.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORTRAIT = ROOT / "assets" / "portraits" / "aria_512.jpg"


def upload(page: Page, selector: str, name: str, content: bytes) -> None:
    payload: FilePayload = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.set_input_files(selector, payload)


def silence(seconds: float) -> bytes:
    """A WAV in which nobody speaks."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(b"\0\0" * int(16_000 * seconds))
    return buffer.getvalue()


def test_the_browsers_language_comes_first_and_a_choice_is_kept(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page(locale="zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert "生成视频" in page.locator("#generate").inner_text()
    page.fill("#script", "写到一半")
    page.click("#lang-en")
    page.get_by_role("button", name="Generate video").wait_for()
    assert page.locator("#lang-en").get_attribute("aria-pressed") == "true"
    assert page.input_value("#script") == "写到一半"
    page.reload()
    page.get_by_role("button", name="Generate video").wait_for()
    assert page.locator("html").get_attribute("lang") == "en"
    assert complaints == []


def test_a_browser_in_another_language_gets_english(open_page: OpenPage) -> None:
    assert open_page(locale="fr-FR").locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_no_element_is_left_without_its_text(open_page: OpenPage, locale: str) -> None:
    page = open_page(locale=locale)
    page.click("#queue-button")
    empty = "[...document.querySelectorAll('[data-i18n]')].filter((e) => !e.textContent).map((e) => e.dataset.i18n)"
    assert page.evaluate(empty) == []


def test_a_button_that_cannot_work_yet_says_why_and_leads_there(open_page: OpenPage) -> None:
    page = open_page()
    page.fill("#script", "   ")
    button = page.locator("#generate")
    assert button.get_attribute("aria-disabled") == "true"
    assert button.get_attribute("aria-describedby") == "generate-why"
    assert "script" in page.locator("#generate-why").inner_text().lower()
    button.click(force=True)
    assert page.evaluate("document.activeElement.id") == "script"
    assert page.locator(".job-panel").count() == 0


def test_the_keyboard_alone_reaches_everything_that_makes_a_video(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.type("Typed without a mouse.")
    assert page.input_value("#script") == "Typed without a mouse."
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.id"))
        if "generate" in reached:
            break
    assert {"aspect", "quality", "subtitles", "generate"} <= reached
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".job-panel")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("aio-stage [data-status=cancelled]")
    assert complaints == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_is_cut_off_sideways(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.locator("#advanced summary").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#queue-button")
    assert page.evaluate("document.querySelector('#queue-drawer').scrollWidth <= innerWidth")


def test_targets_are_large_enough_for_a_finger(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    too_small = page.evaluate(
        """() => [...document.querySelectorAll("button, a, select, summary, label.segment, label.tile")]
          .filter((e) => e.getClientRects().length && !e.classList.contains("skip"))
          .map((e) => [e.className || e.id, e.getBoundingClientRect()])
          .filter(([, box]) => box.width < 24 || box.height < 24).map(([name]) => name)"""
    )
    assert too_small == []


def test_an_own_portrait_is_checked_added_chosen_and_deleted(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    before = page.locator("aio-portraits .tile").count()
    upload(page, "#portrait-file", "me <b>.jpg", PORTRAIT.read_bytes())
    page.locator("aio-portraits .tile").nth(before).wait_for()
    assert "me <b>" in page.locator("aio-portraits .picker-name").inner_text()
    page.get_by_role("button", name="Delete portrait").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator("aio-portraits .tile").nth(before).wait_for(state="detached")
    assert page.locator("aio-portraits input:checked").count() == 1
    assert complaints == []


def test_a_file_that_is_no_picture_is_refused_in_words(open_page: OpenPage) -> None:
    page = open_page()
    upload(page, "#portrait-file", "notes.txt", b"this is not a picture")
    box = page.locator("aio-portraits .notice-error")
    box.wait_for()
    assert "image_unreadable" in box.inner_text()
    assert "cannot be read" in box.inner_text()
    page.click("#lang-zh-CN")
    page.get_by_text("这张图片读不出来。").wait_for()
    assert "cannot be read" not in box.inner_text()
    box.get_by_text("详情").click()
    assert "req_" in box.inner_text()


def test_a_voice_needs_a_file_and_consent_and_silence_is_refused(open_page: OpenPage) -> None:
    page = open_page()
    page.locator('input[name="voice-group"][value=own]').check(force=True)
    page.get_by_role("link", name="Add a voice").click()
    form = page.locator(".add-voice")
    send = form.get_by_role("button", name="Add voice")
    assert send.get_attribute("aria-disabled") == "true"
    form.locator("input[name=voice-source][value=upload]").check(force=True)
    upload(page, "#new-voice-file", "quiet.wav", silence(8))
    assert "consent" in page.locator("#new-voice-why").inner_text()
    send.click(force=True)
    assert page.evaluate("document.activeElement.id") == "new-voice-consent"
    page.keyboard.press("Space")
    assert send.get_attribute("aria-disabled") == "false"
    send.click()
    form.locator(".notice-error").wait_for()
    assert "voice_too_short" in form.inner_text()


def test_a_built_in_voice_can_be_heard(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page()
    with page.expect_response("**/preview") as answer:
        page.locator(".voice-row .voice-play").first.click()
    assert answer.value.headers["content-type"] == "audio/wav"
    page.get_by_role("button", name="Stop ").wait_for()
    assert complaints == []


def test_a_voice_of_another_language_is_pointed_out(open_page: OpenPage) -> None:
    page = open_page()
    page.fill("#script", "你好，这是中文。")
    page.locator("#script-hint").get_by_role("button").click()
    assert page.locator('input[name="voice-group"][value=zh]').is_checked()
    assert page.locator("#script-hint").inner_text() == ""


def test_engines_are_listed_with_their_state_reason_and_fix_and_the_studio_stays_as_it_was(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    page.fill("#script", "Half a sentence")
    page.click("#engines-link")
    engines = page.locator("aio-system-screen")
    engines.get_by_text("How to fix:").first.wait_for()
    text = engines.inner_text()
    for word in ("InfiniteTalk", "Wan2GP", "Draft", "not installed", "Powered by WanGP"):
        assert word in text
    page.get_by_role("navigation").get_by_role("link", name="Studio").click()
    page.locator("#script").wait_for()
    assert page.input_value("#script") == "Half a sentence"
    assert complaints == []


def test_engines_are_described_in_chinese_too(open_page: OpenPage) -> None:
    page = open_page(locale="zh-CN")
    page.click("#engines-link")
    engines = page.locator("aio-system-screen")
    engines.get_by_text("Wan2GP 还没有安装。").wait_for()
    text = engines.inner_text()
    for word in ("install_wan2gp.bat", "install_infinitetalk.sh", "草稿引擎", "Powered by WanGP"):
        assert word in text
    assert "Wan2GP is not installed" not in text


def test_a_paused_queue_is_shown_and_can_be_resumed(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    studio.post("/api/queue/pause", {})
    page = open_page()
    strip = page.locator("#queue-strip")
    strip.get_by_role("button", name="Resume").click()
    strip.wait_for(state="hidden")
    assert not studio.get("/api/queue")["paused"]
    assert complaints == []


def test_more_videos_than_a_page_are_loaded_on_request(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    body = {
        "voice_id": studio.get("/api/voices")["data"][0]["voice_id"],
        "avatar_url": studio.get("/api/avatars")["data"][0]["avatar_id"],
        "script_input": "One of many.",
        "preferred_engine": "draft",
        "title": "many",
    }
    made = [studio.post("/api/jobs", body)["job_id"] for _ in range(25)]
    for job_id in made:
        studio.post(f"/api/jobs/{job_id}/cancel", {})
    page = open_page()
    cards = page.locator("aio-history li")
    cards.nth(19).wait_for()
    first = cards.count()
    page.get_by_role("button", name="Load more").click()
    cards.nth(first).wait_for()
    assert complaints == []


def test_the_page_heals_when_the_service_comes_back(
    browser: Browser, browser_path: str, tmp_path: Path
) -> None:
    with running_studio(tmp_path) as studio:
        port = int(studio.url.rsplit(":", 1)[1])
        page = browser.new_context(locale="en-US").new_page()
        page.goto(studio.url)
        page.wait_for_selector("aio-voices .voice-row")
        assert not page.locator("#connection").is_visible()
    page.locator("#connection").wait_for(timeout=60_000)
    with running_studio(tmp_path, port):
        page.locator("#connection").wait_for(state="hidden", timeout=60_000)
        page.context.close()
