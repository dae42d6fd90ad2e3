"""Every screen in both themes and languages: accessible, never wider than the window, complete, without a complaint."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import STEP_TIMEOUT_MS, Complaints
from tests.e2e.screens import Furniture, all_screens, furnish, visit
from tests.e2e.studio import Studio, running_studio
from tools.page_checks.check import MODULES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A draft and twenty screens, on a machine that does other things too.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AXE = MODULES / "axe-core" / "axe.min.js"
RUN_AXE = """async () => (await axe.run()).violations.map(
  (rule) => [rule.id, ...rule.nodes.map((node) => node.target.join(" ") + ": " + node.failureSummary)].join("\\n")
)"""
# A phone of 2016 and one of today; 1280 at 200 % zoom is 640.
WIDTHS = (320, 390, 640)
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const scrolls = (e) => e && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll("#screen *")].filter((e) => e.getBoundingClientRect().right > room + 1);
  const guilty = wide.filter((e) => getComputedStyle(e).position === "absolute" || !scrolls(e));
  return (guilty.length ? guilty : wide).slice(0, 5).map((e) => e.outerHTML.slice(0, 120));
}"""
WITHOUT_TEXT = """() => [...document.querySelectorAll("[data-i18n]")]
  .filter((e) => !e.textContent).map((e) => e.dataset.i18n)"""


@pytest.fixture(scope="module")
def own_studio(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """No network is asked: the screens are the same everywhere."""
    with running_studio(tmp_path_factory.mktemp("screens"), settings={"MODEL_OFFLINE": "true"}) as studio:
        yield studio


@pytest.fixture(scope="module")
def furniture(own_studio: Studio) -> Furniture:
    return furnish(own_studio)


@pytest.fixture
def open_plain(browser: Browser, own_studio: Studio, complaints: Complaints) -> Iterator[Any]:
    contexts = []

    def open_(**options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(STEP_TIMEOUT_MS)
        page = context.new_page()
        complaints.watch(page)
        page.goto(own_studio.url)
        page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("theme", "locale"), [("light", "en-US"), ("dark", "zh-CN")])
def test_every_screen_is_accessible_fits_any_width_and_is_complete(
    open_plain: Any, furniture: Furniture, complaints: Complaints, theme: str, locale: str
) -> None:
    page = open_plain(color_scheme=theme, locale=locale, reduced_motion="reduce")
    assert page.locator("html").get_attribute("data-theme") == theme
    axe = _axe()
    if axe:
        page.evaluate(axe)
    found: dict[str, object] = {}
    for screen in all_screens(furniture):
        visit(page, screen)
        problems: list[object] = [*(page.evaluate(RUN_AXE) if axe else ())]
        problems += page.evaluate(WITHOUT_TEXT)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            problems += [f"{width} px: {element}" for element in page.evaluate(TOO_WIDE)]
        page.set_viewport_size({"width": 1280, "height": 900})
        if problems:
            found[screen.name] = problems
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)
    assert complaints == []
    if not axe:
        pytest.skip("axe-core is not installed (tools/page_checks/check.py fetches it); the rest was checked")


def _axe() -> str | None:
    return AXE.read_text(encoding="utf-8") if AXE.is_file() else None


def test_the_keyboard_alone_goes_to_a_screen_and_its_heading_is_told(
    open_plain: Any, complaints: Complaints
) -> None:
    page = open_plain(locale="en-US")
    page.locator('.nav-link[href="#/models"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement?.matches('aio-models-screen h2')")
    assert "Models" in page.title()
    page.go_back()
    page.wait_for_selector("aio-studio-screen:not([hidden])")
    assert complaints == []


def test_script_text_typed_in_the_studio_is_there_after_a_visit_elsewhere(open_plain: Any) -> None:
    page = open_plain(locale="en-US")
    page.fill("#script", "Half a sentence")
    page.locator('.nav-link[href="#/system"]').click()
    page.wait_for_selector("aio-system-screen")
    page.locator('.nav-link[href="#/"]').click()
    page.wait_for_selector("aio-studio-screen:not([hidden])")
    assert page.input_value("#script") == "Half a sentence"


def test_the_bundle_for_helpers_holds_no_script_and_no_key(
    open_plain: Any, furniture: Furniture, tmp_path: Path
) -> None:
    page = open_plain(locale="en-US")
    page.evaluate("() => { location.hash = '#/system/doctor'; }")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the bundle").click()
    target = tmp_path / "bundle.zip"
    download.value.save_as(target)
    with zipfile.ZipFile(target) as bundle:
        content = b"".join(bundle.read(name) for name in bundle.namelist())
    assert b"welcome to the studio" not in content
    assert len(content) > 100
