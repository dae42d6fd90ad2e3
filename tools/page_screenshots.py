"""`python -m tools.page_screenshots [--out FOLDER] [--only NAME,…]`: pictures of every screen, to be looked at.

A service of its own makes one draft; each screen is then shown in both languages and both themes at 1280 and 390
pixels. Run it with the Python of the test environment (`.venv-test`); it needs Chromium, as the browser tests do. The
pictures go to `.test-output/screens`, which git ignores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.conftest import BROWSER_FLAGS, BROWSER_NAMES, Complaints
from tests.e2e.screens import Screen, all_screens, furnish, visit
from tests.e2e.studio import ROOT, running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OUT = ROOT / ".test-output" / "screens"
LOCALES = ("en-US", "zh-CN")
THEMES = ("light", "dark")
WIDTHS = (1280, 390)
HEIGHT = 900
# What moves into its place and pictures that come late; nothing depends on it but how a picture looks.
SETTLE_MS = 600


def shoot(browser: Browser, url: str, folder: Path, screens: Sequence[Screen]) -> list[str]:
    """All pictures; returns what the pages complained of."""
    complaints = Complaints()
    for locale in LOCALES:
        for theme in THEMES:
            for width in WIDTHS:
                context = browser.new_context(
                    locale=locale, color_scheme=theme, viewport={"width": width, "height": HEIGHT}
                )
                page = context.new_page()
                complaints.watch(page)
                page.goto(url)
                page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
                for screen in screens:
                    visit(page, screen)
                    page.wait_for_timeout(SETTLE_MS)
                    name = f"{screen.name}-{width}-{locale[:2]}-{theme}.png"
                    page.screenshot(path=str(folder / name), full_page=True)
                context.close()
    return complaints


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all pictures were taken and no page complained."""
    parser = argparse.ArgumentParser(description="Pictures of every screen, to be looked at.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    parser.add_argument("--only", default="", help="names of screens, separated by commas")
    options = parser.parse_args(arguments)
    from playwright.sync_api import sync_playwright

    candidates = (os.environ.get("CHROMIUM", ""), *BROWSER_NAMES)
    browser_path = next((path for name in candidates if name and (path := shutil.which(name))), None)
    if browser_path is None:
        print("Chromium is not installed.")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    only = {name for name in options.only.split(",") if name}
    with tempfile.TemporaryDirectory() as folder, running_studio(Path(folder)) as studio:
        screens = [screen for screen in all_screens(furnish(studio)) if not only or screen.name in only]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=BROWSER_FLAGS)
            complaints = shoot(browser, studio.url, options.out, screens)
            browser.close()
    for complaint in complaints:
        print(complaint)
    print(f"{len(screens) * len(LOCALES) * len(THEMES) * len(WIDTHS)} pictures in {options.out}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
