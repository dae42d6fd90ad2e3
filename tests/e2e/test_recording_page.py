"""A voice recorded in the page: a browser whose microphone hears a file instead of a room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backend.utils.media.ffmpeg import locate_ffmpeg
from tests.e2e.conftest import BROWSER_FLAGS, STEP_TIMEOUT_MS, Complaints
from tests.e2e.studio import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

READER = Path(__file__).resolve().parents[1] / "fixtures" / "voices" / "reader_a.opus"
# Enough for three seconds of speech, with the pauses of the reader.
RECORDED_S = 7
KEPT = """async () => {
  const { keptTake } = await import("/static/js/voices/take-store.js");
  return keptTake();
}"""


@pytest.fixture
def listening_page(
    browser_path: str, studio: Studio, complaints: Complaints, tmp_path: Path
) -> Iterator[Page]:
    playwright_api = pytest.importorskip("playwright.sync_api")
    heard = tmp_path / "heard.wav"
    subprocess.run(
        [locate_ffmpeg(), "-v", "error", "-i", READER, "-ar", "48000", "-ac", "1", heard],
        check=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    flags = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    ]
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=[*BROWSER_FLAGS, *flags])
        context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
        context.set_default_timeout(STEP_TIMEOUT_MS)
        page = context.new_page()
        complaints.watch(page)
        page.goto(studio.url + "/#/voices/new")
        yield page
        browser.close()


def test_a_voice_is_recorded_enrolled_shown_and_used(
    listening_page: Page, studio: Studio, complaints: Complaints
) -> None:
    page = listening_page
    page.get_by_role("button", name="Start recording").click()
    # By the page's own clock: a slow machine only records longer.
    page.wait_for_function(
        """seconds => {
          const [m, s] = document.querySelector(".record-time").textContent.split(":").map(Number);
          return m * 60 + s >= seconds;
        }""",
        arg=RECORDED_S,
    )
    page.get_by_role("button", name="Stop").click()
    page.locator(".sound-file .wave-canvas").wait_for()
    # Neither a reload nor another screen loses it.
    page.locator(".voice-kept").wait_for()
    page.reload()
    page.locator(".voice-kept").wait_for()
    page.locator(".sound-file .wave-canvas").wait_for()
    assert page.locator("#new-voice-why").inner_text() == "Please confirm the speaker’s consent."
    page.check("#new-voice-consent")
    page.fill("#new-voice-name", "From the page")
    page.get_by_role("button", name="Add voice").click()

    page.locator(".voice-detail h2", has_text="From the page").wait_for()
    voice_id = page.url.rpartition("/")[2]
    voice = studio.get(f"/api/voices/{voice_id}")
    assert voice["report"]["speech_s"] >= 2.8
    assert voice["consent"]["given"] is True
    page.locator(".voice-recording .wave-canvas").wait_for()
    page.locator(".voice-recording").get_by_text("Signal to noise").wait_for()
    page.locator(".consent-line", has_text="confirmed on").wait_for()
    page.get_by_role("button", name="Use in the Studio").click()
    page.wait_for_function(
        "id => document.querySelector('aio-voices .voice-row input:checked')?.value === id", arg=voice_id
    )
    studio.delete(f"/api/voices/{voice_id}")
    # What is a voice is kept here no more.
    assert page.evaluate(KEPT) is None
    assert complaints == []


def test_a_recording_that_is_left_for_a_file_has_stopped(
    listening_page: Page, complaints: Complaints
) -> None:
    page = listening_page
    page.get_by_role("button", name="Start recording").click()
    page.wait_for_function("() => document.querySelector('.record-time').textContent !== '0:00'")
    page.locator(".segment", has_text="Choose a file").click()
    page.locator(".segment", has_text="Record here").click()
    page.get_by_role("button", name="Start recording").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0
    assert page.locator(".record-time").inner_text() == "0:00"
    assert complaints == []


def test_a_page_that_may_not_record_says_why_and_offers_a_file(
    browser_path: str, studio: Studio, complaints: Complaints
) -> None:
    playwright_api = pytest.importorskip("playwright.sync_api")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=BROWSER_FLAGS)
        page = browser.new_page(locale="en-US")
        page.set_default_timeout(STEP_TIMEOUT_MS)
        complaints.watch(page)
        # As on the network without HTTPS: there browsers give pages no microphone.
        page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false });")
        page.goto(studio.url + "/#/voices/new")
        page.locator("input[name=voice-source][value=upload]:checked").wait_for(state="attached")
        page.locator(".segment", has_text="Record here").click()
        page.locator(
            ".notice", has_text="Browsers give the microphone only to pages opened over HTTPS"
        ).wait_for()
        browser.close()
    assert complaints == []
