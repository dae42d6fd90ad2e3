"""What the browser fetches at a first visit, counted by the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import STEP_TIMEOUT_MS, Complaints
from tests.e2e.studio import running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Everything until the Studio can be used: page, styles, scripts, portraits, lists.
MAX_FIRST_LOAD_BYTES = 300_000


def test_the_first_visit_transfers_little(browser: Browser, tmp_path: Path, complaints: Complaints) -> None:
    # A service of its own: portraits and voices that other tests made would count.
    with running_studio(tmp_path / "studio") as studio:
        transferred = transferred_at_first_visit(browser, studio.url, complaints)
    assert len(transferred) > 20
    assert sum(transferred.values()) < MAX_FIRST_LOAD_BYTES, transferred
    assert complaints == []


def transferred_at_first_visit(browser: Browser, url: str, complaints: Complaints) -> dict[str, float]:
    """Bytes on the wire by address, headers included, until the Studio can be used."""
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
    page.goto(url)
    page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
    page.wait_for_function(
        "() => [...document.querySelectorAll('aio-portraits img')].every((image) => image.complete)"
    )
    transferred = {addresses[key]: size for key, size in sizes.items()}
    context.close()
    return transferred
