"""A new installation: what the first visit transfers, its welcome, its first video, and a page that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import STEP_TIMEOUT_MS, Complaints, OpenPage
from tests.e2e.studio import Studio, running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A cold worker on a small machine may need minutes.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

# Everything that the browser fetches until the Studio can be used: page, styles, scripts, portraits, lists.
MAX_FIRST_LOAD_BYTES = 300_000
# Text that changes within its own line may move by a hair; anything that a person could see is far above.
MAX_SHIFT = 0.001
LONG_SCRIPT = " ".join(f"This is sentence number {n}, and it takes a while to say." for n in range(1, 41))

# What moves by itself while a bar shows progress; what a click brings about is no shift.
RECORD_SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    const bar = document.querySelector(".job-panel [role=progressbar]");
    if (!bar || bar.closest("[hidden]")) return;
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({ type: "layout-shift" });
}"""
IS_UNDER_WAY = "() => Number(document.querySelector('.job-panel [role=progressbar]')?.ariaValueNow) > 0"
STEPS_SEEN = """() => {
  const value = Number(document.querySelector(".job-panel [role=progressbar]")?.ariaValueNow);
  window.steps = (window.steps ?? new Set()).add(value);
  return window.steps.size > 3 && value > 0;
}"""


@pytest.fixture
def fresh_page(browser: Browser, complaints: Complaints) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(STEP_TIMEOUT_MS)
    page = context.new_page()
    complaints.watch(page)
    yield page
    context.close()


def test_the_welcome_leads_a_new_user_to_a_video_that_plays(
    fresh_page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    # No network is asked: what the welcome finds out is the same everywhere.
    with running_studio(tmp_path, settings={"MODEL_OFFLINE": "true"}, first_run=True) as new_studio:
        _first_video(new_studio, fresh_page)
        fresh_page.close()
    assert complaints == []


def _first_video(new_studio: Studio, page: Page) -> None:
    assert new_studio.get("/api/jobs")["data"] == []
    page.goto(new_studio.url)
    page.wait_for_selector("aio-start-screen .start-path")
    page.get_by_role("button", name="Make the demo video").click()
    page.wait_for_selector(".start-demo video", timeout=2 * STEP_TIMEOUT_MS)
    page.wait_for_function("() => document.querySelector('.start-demo video').currentTime > 0")
    page.locator(".start-demo .button-primary:visible").click()
    page.wait_for_selector("aio-studio-screen:not([hidden])")
    job = new_studio.get("/api/jobs")["data"][0]
    assert job["status"] == "completed"
    page.wait_for_selector(f'aio-history [data-job="{job["job_id"]}"]')
    assert new_studio.get("/api/system")["first_run"] is False


def test_the_first_visit_transfers_little(studio: Studio, fresh_page: Page) -> None:
    page = fresh_page
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    addresses: dict[str, str] = {}
    sizes: dict[str, float] = {}
    devtools.on(
        "Network.requestWillBeSent",
        lambda event: addresses.setdefault(event["requestId"], event["request"]["url"]),
    )
    devtools.on(
        "Network.loadingFinished",
        lambda event: sizes.setdefault(event["requestId"], event["encodedDataLength"]),
    )
    page.goto(studio.url)
    page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
    page.wait_for_function(
        "() => [...document.querySelectorAll('aio-portraits img')].every((image) => image.complete)"
    )
    # Pictures of videos are the user's own, and none at the first visit.
    transferred = {addresses[key]: size for key, size in sizes.items() if "/api/jobs" not in addresses[key]}
    assert len(transferred) > 20
    assert sum(transferred.values()) < MAX_FIRST_LOAD_BYTES, transferred


def test_nothing_moves_while_progress_does(open_page: OpenPage) -> None:
    page = open_page()
    page.fill("#script", LONG_SCRIPT)
    page.click("#generate")
    page.wait_for_selector(".job-panel [role=progressbar]")
    page.wait_for_function(IS_UNDER_WAY)
    page.evaluate(RECORD_SHIFTS)
    page.wait_for_function(STEPS_SEEN, timeout=2 * STEP_TIMEOUT_MS)
    shifted = page.evaluate("window.shifted")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("aio-stage [data-status=cancelled]")
    assert shifted < MAX_SHIFT
