"""A real service and a real browser. Without Chromium the tests are skipped, except in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.studio import Studio, running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

# Loading a model in a cold worker on a shared two-core machine; a deadline, not an expectation.
STEP_TIMEOUT_MS = 90_000

BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# No sandbox inside containers that run as root, and nothing that calls home.
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def _missing(what: str) -> None:
    """Skip on a developer's machine, fail where the suite must be complete."""
    reason = f"{what} is not installed; the page was not tried in a browser"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser: `CHROMIUM` when set, else the first of the usual names."""
    candidates = [os.environ.get("CHROMIUM", ""), *BROWSER_NAMES]
    found = next((path for name in candidates if name and (path := shutil.which(name))), None)
    if found is None:
        _missing("Chromium")
    assert found is not None
    return found


# One browser per module, not per session: while Playwright's loop lives, asynchronous tests cannot run.
@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("Playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def studio(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running_studio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


class Complaints(list[str]):
    """What a page's console said in warning or error, and exceptions nobody caught."""

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.append(f"uncaught: {error}"))

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.append(f"{kind}: {text}")


OpenPage = Callable[..., "Page"]


def choose_engine(page: Page, name: str) -> None:
    """Name the engine, in the drawer where it is kept."""
    page.locator("#advanced:not([open]) > summary").click()
    page.select_option("#engine", name)


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def open_page(browser: Browser, studio: Studio, complaints: Complaints, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens the page in a fresh profile; keyword arguments go to the browser context."""
    studio.forget_draft()
    contexts: list[BrowserContext] = []

    def open_(path: str = "/", **options: Any) -> Page:
        settings = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(**settings)
        contexts.append(context)
        context.set_default_timeout(STEP_TIMEOUT_MS)
        page = context.new_page()
        complaints.watch(page)
        page.goto(studio.url + path)
        page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
        page.wait_for_selector("aio-portraits .tile input:checked", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()
