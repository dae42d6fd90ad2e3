"""The library as a person uses it: finding, filing, judging, comparing, taking home and making again."""

from __future__ import annotations

import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Complaints, OpenPage
from tests.e2e.studio import POLL_S, Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Two drafts on a machine that does other things too.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
DRAFT_TIMEOUT_S = 300.0

REQUEST = {
    "voice_id": "voice_builtinafheart",
    "script_mode": "manual",
    "output": {"aspect": "1:1", "resolution": "512p", "subtitles": "file"},
}


def _ended(studio: Studio, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + DRAFT_TIMEOUT_S
    while time.monotonic() < deadline:
        job: dict[str, Any] = studio.get(f"/api/jobs/{job_id}")
        if job["status"] in {"completed", "failed", "cancelled"}:
            return job
        time.sleep(POLL_S)
    raise AssertionError(f"{job_id} did not end")


def _make(studio: Studio, title: str, **fields: Any) -> str:
    made = studio.post("/api/jobs", {**REQUEST, "title": title, **fields})
    return str(made["job_id"])


@pytest.fixture(scope="module")
def films(studio: Studio) -> list[str]:
    """Two finished drafts that differ in portrait and script."""
    ids = [
        _make(
            studio,
            "Film one",
            script_input="Hello there.",
            avatar_url="avatar_builtinaria",
            preferred_engine="draft",
        ),
        _make(
            studio,
            "Film two",
            script_input="Hello again.",
            avatar_url="avatar_builtinleo",
            preferred_engine="draft",
        ),
    ]
    assert [_ended(studio, job_id)["status"] for job_id in ids] == ["completed", "completed"]
    return ids


def _open_library(page: Page) -> None:
    page.locator(".nav-link[href='#/library']").click()
    page.locator(".lib-card").first.wait_for()


def _search(page: Page, words: str, cards: int) -> None:
    page.fill("#library-search", words)
    page.wait_for_function("n => document.querySelectorAll('.lib-card').length === n", arg=cards)


def test_videos_are_found_filed_and_taken_home(
    open_page: OpenPage, studio: Studio, films: list[str], complaints: Complaints
) -> None:
    page = open_page()
    _open_library(page)
    _search(page, "film", 2)
    _search(page, "hello AGAIN", 1)
    assert page.locator(".lib-title").inner_text() == "Film two"
    page.locator(".lib-star").click()
    page.locator(".lib-star[aria-pressed=true]").wait_for()
    assert studio.get(f"/api/jobs/{films[1]}")["starred"] is True

    _search(page, "film", 2)
    for index in range(2):
        page.locator(".lib-card input").nth(index).check()
    page.locator(".selection-bar").get_by_text("2 chosen").wait_for()
    page.select_option("#move-to", label="New folder")
    page.fill("#ask-name", "Welcome")
    page.keyboard.press("Enter")
    page.locator(".shelf", has_text="Welcome").locator(".shelf-count", has_text="2").wait_for()

    page.locator("[data-tool=export]").click()
    with page.expect_download() as download:
        page.locator("dialog button[type=submit]").click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert {"Film one.mp4", "Film two.mp4", "Film one.srt"} <= set(names)

    page.locator(".shelf", has_text="Welcome").click()
    page.get_by_role("button", name="Delete folder Welcome").click()
    page.get_by_role("button", name="Delete", exact=True).last.click()
    page.locator(".shelf", has_text="Welcome").wait_for(state="detached")
    # The folder is gone, its videos are not.
    assert studio.get(f"/api/jobs/{films[0]}")["folder_id"] is None
    assert complaints == []


def test_one_video_tells_its_quality_is_renamed_and_used_again(
    open_page: OpenPage, studio: Studio, films: list[str], complaints: Complaints
) -> None:
    page = open_page()
    _open_library(page)
    _search(page, "film one", 1)
    page.locator(".lib-link").click()
    page.locator(".detail-quality").get_by_text("Frame rate").wait_for()
    page.locator(".detail-origin").get_by_text("AI-generated").wait_for()
    shown = "mode => document.querySelector('.detail video').textTracks[0].mode === mode"
    page.wait_for_function(shown, arg="showing")
    page.locator(".detail-subtitles input").uncheck()
    page.wait_for_function(shown, arg="hidden")

    page.locator("[data-tool=rename]").click()
    page.fill("#ask-name", "Film one, <b>renamed</b>")
    page.keyboard.press("Enter")
    page.locator(".detail h2", has_text="Film one, <b>renamed</b>").wait_for()
    assert studio.get(f"/api/jobs/{films[0]}")["title"] == "Film one, <b>renamed</b>"

    page.get_by_role("button", name="Use these settings again").click()
    page.wait_for_function("() => document.querySelector('#script')?.value === 'Hello there.'")
    assert complaints == []


def test_two_videos_play_in_step_and_their_differences_are_listed(
    open_page: OpenPage, films: list[str], complaints: Complaints
) -> None:
    page = open_page()
    _open_library(page)
    page.evaluate("ids => { location.hash = `#/library/compare/${ids[0]}/${ids[1]}`; }", films)
    differing = page.locator(".compare-table tbody th")
    differing.first.wait_for()
    assert {"Avatar", "Script"} <= set(differing.all_inner_texts())
    page.locator(".pair-play").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.compare video')].every((video) => video.currentTime > 0.2)"
    )
    heard = "() => [...document.querySelectorAll('.compare video')].map((video) => !video.muted)"
    assert page.evaluate(heard) == [True, False]
    page.get_by_role("radio", name="Sound of B").check(force=True)
    assert page.evaluate(heard) == [False, True]
    assert complaints == []


def test_a_failed_video_says_what_was_tried_and_is_deleted_only_after_a_question(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    job_id = _make(
        studio, "Never made", script_input="Hello.", avatar_url="avatar_builtinaria",
        preferred_engine="infinitetalk", fallback={"allow": False},
    )  # fmt: skip
    assert _ended(studio, job_id)["status"] == "failed"
    page = open_page()
    _open_library(page)
    _search(page, "never made", 1)
    page.locator(".lib-link").click()
    page.locator(".detail-tried").get_by_text("InfiniteTalk is not installed").first.wait_for()
    page.locator(".detail-actions").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep").click()
    assert studio.get(f"/api/jobs/{job_id}")["status"] == "failed"
    page.locator(".detail-actions").get_by_role("button", name="Delete").click()
    page.locator("dialog .button-danger").click()
    page.locator(".lib-overview:not([hidden])").wait_for()
    page.get_by_text("No video matches.").wait_for()
    assert complaints == []
