"""What the browser fetches at a first visit, counted by the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import STEP_TIMEOUT_MS, Complaints
from tests.e2e.studio import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Everything until the Studio can be used: page, styles, scripts, portraits, lists.
MAX_FIRST_LOAD_BYTES = 300_000


def test_the_first_visit_transfers_little(browser: Browser, studio: Studio, complaints: Complaints) -> None:
    context = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(STEP_TIMEOUT_MS)
    page = context.new_page()
    complaints.watch(page)
    devtools = context.new_cdp_session(page)
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
    # Pictures of videos are the user's own, and there are none at the first visit.
    transferred = {addresses[key]: size for key, size in sizes.items() if "/api/jobs" not in addresses[key]}
    context.close()
    assert len(transferred) > 20
    assert sum(transferred.values()) < MAX_FIRST_LOAD_BYTES, transferred
    assert complaints == []
