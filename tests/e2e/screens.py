"""Every screen of the page: where it is, and what it shows once it has what it needs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.studio import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

SENTENCE = "Hello, and welcome to the studio. 欢迎来到工作室。"
# A cold worker on a busy machine; a deadline, not an expectation.
RENDER_WITHIN_S = 240.0
POLL_S = 0.25


@dataclass(frozen=True)
class Screen:
    """`address`: behind `#/`. `shows`: a selector that matches when the screen is complete."""

    name: str
    address: str
    shows: str


@dataclass(frozen=True)
class Furniture:
    """Ids of what the screens show."""

    job_id: str
    voice_id: str
    avatar_id: str


def finished_job(studio: Studio, title: str = "") -> str:
    """Make a draft over HTTP and wait for its end; returns its id."""
    body = {
        "voice_id": studio.get("/api/voices")["data"][0]["voice_id"],
        "avatar_url": studio.get("/api/avatars")["data"][0]["avatar_id"],
        "script_input": SENTENCE,
        "preferred_engine": "draft",
        "title": title,
    }
    job_id: str = studio.post("/api/jobs", body)["job_id"]
    deadline = time.monotonic() + RENDER_WITHIN_S
    while (status := studio.get(f"/api/jobs/{job_id}")["status"]) not in ("completed", "failed"):
        assert time.monotonic() < deadline, f"the draft is still {status}"
        time.sleep(POLL_S)
    assert status == "completed"
    return job_id


def furnish(studio: Studio) -> Furniture:
    """One video, one reading and one key: no screen is empty."""
    job_id = finished_job(studio, "A first video")
    studio.post("/api/folders", {"name": "Spring and everything that comes after it, in one long name"})
    studio.post("/api/keys", {"name": "another program"})
    studio.put("/api/dictionary/AIO", {"reading": "A I O"})
    return Furniture(
        job_id,
        studio.get("/api/voices")["data"][0]["voice_id"],
        studio.get("/api/avatars")["data"][0]["avatar_id"],
    )


def all_screens(furniture: Furniture) -> tuple[Screen, ...]:
    """In the order of the rail."""
    return (
        Screen("studio", "", "aio-voices .voice-row input:checked"),
        Screen("job", f"jobs/{furniture.job_id}", "aio-stage [data-status=completed]"),
        Screen("library", "library", ".lib-overview [data-job]"),
        Screen("library-video", f"library/{furniture.job_id}", ".detail-columns:not([hidden]) video"),
        Screen("voices", "voices", ".voice-cards li"),
        Screen("voice", f"voices/{furniture.voice_id}", "aio-voices-screen .card:not([hidden])"),
        Screen("voice-new", "voices/new", "aio-voices-screen form, aio-voices-screen .card"),
        Screen("avatars", "avatars", ".avatar-tile img"),
        Screen("avatar", f"avatars/{furniture.avatar_id}", ".avatar-columns:not([hidden])"),
        Screen("avatar-new", "avatars/new", "aio-avatars-screen input[type=file]"),
        Screen("models", "models", ".model >> nth=0"),
        Screen("engines", "system/engines", ".engines-grid .engine >> nth=0"),
        Screen("machine", "system/machine", ".machine-tile >> nth=1"),
        Screen("doctor", "system/doctor", ".doctor-check >> nth=0"),
        Screen("logs", "system/logs", ".log-line >> nth=0"),
        Screen("settings", "system/settings", ".setting >> nth=0"),
        Screen("dictionary", "system/dictionary", "aio-dictionary-pane .rows"),
        Screen("keys", "system/keys", "aio-keys-pane .rows"),
        Screen("webhooks", "system/webhooks", "aio-webhooks-pane .empty"),
        Screen("batches", "system/batches", "aio-batches-pane .empty"),
        Screen("start", "start", "aio-start-screen .start-path"),
    )


def visit(page: Page, screen: Screen) -> None:
    """Go there within the page, and wait until all of it is there."""
    page.evaluate("address => { location.hash = '#/' + address; }", screen.address)
    page.wait_for_selector(f"#screen:not([aria-busy]) >> {screen.shows}", state="attached")
    # Nothing is left behind by what the screen before was still asking for.
    page.wait_for_function("() => document.querySelector('#screen > :not([hidden]) h2[tabindex]')")
