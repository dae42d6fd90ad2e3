"""Portraits as a person keeps them: added with a crop made by the keyboard, cropped again, renamed, used, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Complaints, OpenPage
from tests.e2e.studio import Studio
from tests.e2e.test_conversation_page import two_people

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_picture_is_cropped_added_cropped_again_renamed_used_and_deleted(
    open_page: OpenPage, studio: Studio, complaints: Complaints, tmp_path: Path
) -> None:
    page = open_page()
    page.locator(".nav-link[href='#/avatars']").click()
    page.locator(".avatar-add").click()
    page.set_input_files("#new-avatar-file", two_people(tmp_path))
    page.locator(".crop-size", has_text="1024 × 512").wait_for()
    page.locator(".crop-se").focus()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    page.locator(".crop-size", has_text="512 × 512").wait_for()
    page.fill("#new-avatar-name", "Left one")
    # Another picture takes its place; the name that was typed stays.
    page.set_input_files("#new-avatar-file", two_people(tmp_path))
    page.wait_for_function("() => document.querySelector('.crop-size')?.textContent.includes('1024')")
    assert page.input_value("#new-avatar-name") == "Left one"
    page.locator(".crop-se").focus()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    page.locator(".crop-size", has_text="512 × 512").wait_for()
    page.get_by_role("button", name="Add avatar").click()

    page.locator(".avatar-detail h2", has_text="Left one").wait_for()
    avatar_id = page.url.rpartition("/")[2]
    first = studio.get(f"/api/avatars/{avatar_id}")
    assert (first["width"], len(first["faces"])) == (512, 1)
    page.locator(".mark-point").first.wait_for()

    page.get_by_role("button", name="Crop again").click()
    page.locator("dialog .crop-size", has_text="512 × 512").wait_for()
    page.get_by_role("button", name="Whole picture").click()
    page.locator("dialog button[type=submit]").click()
    # The whole picture has two faces; one of them is chosen to speak.
    page.locator(".marked-picture .face-mark").nth(1).wait_for()
    whole_id = page.url.rpartition("/")[2]
    assert whole_id != avatar_id
    page.fill("#avatar-name", "Both")
    page.get_by_role("button", name="Save").click()
    page.locator(".avatar-detail h2", has_text="Both").wait_for()
    assert studio.get(f"/api/avatars/{whole_id}")["name"] == "Both"
    page.locator(".marked-picture .face-mark").nth(1).click()
    page.get_by_role("button", name="Use in the Studio").click()
    page.wait_for_function(
        "id => document.querySelector('aio-portraits .tile input:checked')?.value === id", arg=whole_id
    )

    for gone in (avatar_id, whole_id):
        page.evaluate("id => { location.hash = `#/avatars/${id}`; }", gone)
        page.locator(".avatar-detail .screen-actions").get_by_role("button", name="Delete").click()
        page.locator("dialog .button-danger").click()
        page.locator(".avatar-add").wait_for()
    assert {avatar_id, whole_id}.isdisjoint(item["avatar_id"] for item in studio.get("/api/avatars")["data"])
    assert complaints == []
