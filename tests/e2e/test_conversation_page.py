"""Two people in one picture, and what a video would take, as a person meets them in the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import Complaints, OpenPage, choose_engine
from tests.e2e.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORTRAITS = Path(__file__).resolve().parents[2] / "assets" / "portraits"


def two_people(folder: Path) -> Path:
    """The bundled portraits side by side."""
    left, right = (Image.open(PORTRAITS / f"{name}_512.jpg").convert("RGB") for name in ("aria", "leo"))
    pair = Image.new("RGB", (left.width + right.width, left.height))
    pair.paste(left, (0, 0))
    pair.paste(right, (left.width, 0))
    path = folder / "two.png"
    pair.save(path)
    return path


def test_two_people_get_a_voice_and_a_face_each(
    open_page: OpenPage, studio: Studio, complaints: Complaints, tmp_path: Path
) -> None:
    studio.post("/api/queue/pause", {})  # the request is looked at, not the video
    page = open_page()
    page.get_by_label("Two people talk to each other").check()
    page.fill("#script", "A: Good morning!\nB: Good morning to you.")
    # The portrait that a new user starts with shows one person.
    page.locator("#generate-why", has_text="two faces").wait_for()
    assert page.locator("#generate").get_attribute("aria-disabled") == "true"

    page.set_input_files("#portrait-file", two_people(tmp_path))
    page.locator(".face-mark", has_text="B").wait_for()
    page.locator(".segment", has_text="B ·").click()
    voices = page.locator(".voice-row")
    voices.nth(2).locator("label").click()
    chosen = voices.nth(2).get_attribute("data-voice")
    page.locator("#verdict", has_text="Draft").wait_for()
    assert "speech about" in page.locator("#verdict").inner_text()

    # The faces change places.
    page.locator(".face-mark").nth(0).click()
    page.locator("#generate").click()
    page.locator(".job-panel").wait_for()
    job = studio.get("/api/jobs")["data"][0]
    first, second = job["speakers"]
    assert (first["name"], second["name"]) == ("A", "B")
    assert second["voice_id"] == chosen != first["voice_id"]
    assert second["face"]["x"] + second["face"]["w"] < 0.5 < first["face"]["x"]
    studio.post(f"/api/jobs/{job['job_id']}/cancel", {})
    studio.post("/api/queue/resume", {})
    assert complaints == []


def test_a_model_that_is_not_here_is_said_before_the_job(open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page()
    page.fill("#script", "Hello there.")
    choose_engine(page, "wan2gp")
    page.locator("#verdict .verdict-reason").first.wait_for()
    page.locator("#engines-link").click()
    engines = page.locator("aio-system-screen")
    engines.get_by_text("install_wan2gp").first.wait_for()
    link = engines.get_by_role("link", name="github.com/deepbeepmeep/Wan2GP")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert complaints == []
