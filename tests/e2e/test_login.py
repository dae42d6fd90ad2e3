"""A service that asks for a key: the page asks once, goes on where it was, and can be left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import STEP_TIMEOUT_MS, Complaints
from tests.e2e.studio import Studio, running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KEY = "open-sesame-1234567890"
# The answer 401 is itself a line in the console; it is what these tests provoke.
EXPECTED_COMPLAINT = "401"


@pytest.fixture(scope="module")
def locked(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running_studio(tmp_path_factory.mktemp("locked"), settings={"API_KEY": KEY}) as studio:
        yield studio


@pytest.fixture
def page(browser: Browser, locked: Studio, complaints: Complaints) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(STEP_TIMEOUT_MS)
    page = context.new_page()
    complaints.watch(page)
    page.goto(locked.url)
    yield page
    context.close()


def log_in(page: Page, key: str = KEY) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.keyboard.press("Enter")


def is_at_work(page: Page) -> None:
    page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
    page.wait_for_selector("html[data-connection=live]", state="attached")


def test_the_key_is_asked_for_once_and_kept_over_a_reload(page: Page, complaints: Complaints) -> None:
    panel = page.get_by_role("dialog")
    panel.wait_for()
    assert "API_KEY in .env" in panel.inner_text()
    assert page.get_by_label("Key", exact=True).get_attribute("type") == "password"
    log_in(page)
    is_at_work(page)
    assert panel.count() == 0
    page.reload()
    is_at_work(page)
    assert panel.count() == 0
    assert page.get_by_role("button", name="Log out").is_visible()
    assert [line for line in complaints if EXPECTED_COMPLAINT not in line] == []
    assert len(complaints) == 1, "more than one request went out without a key"


def test_a_wrong_key_is_refused_in_words_and_the_panel_stays(page: Page) -> None:
    panel = page.get_by_role("dialog")
    panel.wait_for()
    log_in(page, "not the key")
    panel.get_by_text("That is not the key.").wait_for()
    for _ in range(2):
        page.keyboard.press("Escape")
    assert panel.is_visible()
    log_in(page)
    is_at_work(page)


def test_a_session_that_ends_in_mid_work_is_opened_again_where_it_was(page: Page) -> None:
    log_in(page)
    is_at_work(page)
    page.fill("#script", "Said before and after the login.")
    page.context.clear_cookies()
    page.click("#generate")
    page.get_by_role("dialog").wait_for()
    log_in(page)
    page.wait_for_selector(".job-panel")
    assert page.input_value("#script") == "Said before and after the login."
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("aio-stage [data-status=cancelled]")


def test_logging_out_hides_everything_until_the_next_login(page: Page) -> None:
    log_in(page)
    is_at_work(page)
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("dialog").wait_for()
    assert page.locator("aio-history li").count() == 0
    assert page.locator(".voice-row").count() == 0


def test_a_service_without_a_key_offers_no_way_out(browser: Browser, studio: Studio) -> None:
    page = browser.new_context(locale="en-US").new_page()
    page.goto(studio.url)
    is_at_work(page)
    assert not page.locator("#logout").is_visible()
    page.context.close()
