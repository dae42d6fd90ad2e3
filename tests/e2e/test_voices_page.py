"""A voice of one's own, how a script is read, who writes it and what can be downloaded, as a person does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Complaints, OpenPage
from tests.e2e.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "voices"


def test_a_recording_becomes_a_voice_that_says_what_it_is_worth(
    open_page: OpenPage, studio: Studio, complaints: Complaints
) -> None:
    page = open_page()
    page.locator("input[name=voice-group][value=own]").check(force=True)
    page.get_by_role("link", name="Add a voice").click()
    page.locator("input[name=voice-source][value=upload]").check(force=True)
    page.set_input_files("#new-voice-file", FIXTURES / "reader_a.opus")
    page.fill("#new-voice-name", "Reader")
    page.check("#new-voice-consent")
    page.get_by_role("button", name="Add voice").click()
    match = page.locator(".voice-match")
    match.get_by_text("It is not the person’s voice.").wait_for()
    assert match.locator(".badge").first.inner_text() in {"close", "fair", "far"}
    # Chosen by having been added from there.
    page.get_by_role("navigation").get_by_role("link", name="Studio").click()

    row = page.locator(".voice-row", has_text="Reader")
    assert row.locator("input").is_checked()
    row.get_by_role("button", name="About voice Reader").click()
    details = page.get_by_role("dialog")
    assert "The speaker’s consent is recorded." in details.inner_text()
    page.fill("#details-name", "Narrator")
    details.get_by_role("button", name="Save").click()
    page.locator(".voice-row", has_text="Narrator").wait_for()
    own = [voice for voice in studio.get("/api/voices")["data"] if not voice["builtin"]]
    assert [voice["name"] for voice in own] == ["Narrator"]

    page.locator(".voice-row", has_text="Narrator").get_by_role("button", name="About voice Narrator").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete voice Narrator").click()
    page.get_by_role("dialog").last.get_by_role("button", name="Delete", exact=True).click()
    page.locator(".voice-row", has_text="Narrator").wait_for(state="detached")
    assert all(voice["builtin"] for voice in studio.get("/api/voices")["data"])
    assert complaints == []


def test_a_doubtful_reading_is_shown_and_settled_by_a_click(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    page.fill("#script", "他长得很快。价格是￥1,280.50。")
    page.get_by_role("button", name="Check reading").click()
    check = page.locator(".script-check")
    check.locator("li").nth(1).wait_for()
    assert "一千二百八十" in check.inner_text()
    doubt = check.locator(".doubt").first
    if doubt.count():
        other = doubt.get_by_role("button").last
        reading = other.inner_text()
        other.click()
        page.wait_for_function(
            "text => document.querySelector('#script').value.includes(text)", arg=f"[{reading}]"
        )
    assert complaints == []


def test_without_a_language_model_the_writer_says_how_to_get_one(
    open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page()
    page.get_by_role("button", name="Write it for me").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("There is no language model yet.").wait_for()
    dialog.get_by_role("link", name="Models").click()
    models = page.locator("aio-models-screen")
    models.locator("[data-model=script-qwen]").wait_for()
    text = models.inner_text()
    for word in ("Apache-2.0", "not downloaded", "Writes scripts.", "Download"):
        assert word in text
    assert complaints == []
