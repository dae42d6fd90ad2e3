"""Makes the pictures of this folder: `python docs/images/make.py`, in the test environment, with Chromium.

A real service makes a real draft with the bundled portrait; its frames become draft.jpg, the page with the finished
video becomes page-en.jpg and page-zh-CN.jpg. Run it again whenever the portrait, the draft engine or the page changes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from PIL import Image, ImageDraw, ImageFont  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from backend.utils.media.ffmpeg import locate_ffmpeg  # noqa: E402
from tests.e2e.conftest import BROWSER_FLAGS, BROWSER_NAMES  # noqa: E402
from tests.e2e.studio import Studio, running_studio  # noqa: E402

SCRIPTS = {
    "en": (
        "voice_builtinafheart",
        "Hello, and welcome. My lips move with every word, and I keep calm in a pause.",
    ),
    "zh-CN": ("voice_builtinzfxiaobei", "你好，欢迎来到数字人工作室。写下几句话，我就会替你说出来。"),
}
# Sounds whose mouths differ most: closed, open, spread, rounded. Misaki's English symbols.
SOUNDS = ["m", "I", "i", "u", "ɜ", "O"]
FRAME_PX = 300
VIEWPORT = {"width": 1280, "height": 860}
JOB_TIMEOUT_S = 300.0
JPEG_QUALITY = 84


def make_job(studio: Studio, language: str) -> dict[str, Any]:
    voice, text = SCRIPTS[language]
    body = {"voice_id": voice, "avatar_url": "avatar_builtinaria", "script_input": text}
    job_id = studio.post("/api/jobs", body)["job_id"]
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while time.monotonic() < deadline:
        job: dict[str, Any] = studio.get(f"/api/jobs/{job_id}")
        if job["status"] in {"completed", "failed", "cancelled"}:
            if job["status"] != "completed":
                raise RuntimeError(job["error"])
            return job
        time.sleep(0.5)
    raise TimeoutError(job_id)


def moments(timings: dict[str, Any]) -> list[tuple[str, float]]:
    """The longest occurrence of each sound as (symbol, middle of it in s), in the order of time."""
    spoken = [p for sentence in timings["sentences"] for p in sentence["phonemes"]]
    found = []
    for symbol in SOUNDS:
        same = [p for p in spoken if p["symbol"] == symbol]
        if same:
            longest = max(same, key=lambda p: p["end_s"] - p["start_s"])
            found.append((symbol, (longest["start_s"] + longest["end_s"]) / 2))
    return sorted(found, key=lambda moment: moment[1])


def frame(video: Path, at_s: float, target: Path) -> Image.Image:
    command = [str(locate_ffmpeg()), "-y", "-loglevel", "error", "-ss", f"{at_s:.3f}", "-i", str(video)]
    # Our own binary and our own file names.
    subprocess.run([*command, "-frames:v", "1", str(target)], check=True, timeout=60)  # noqa: S603
    return Image.open(target).convert("RGB")


def strip(studio: Studio, job: dict[str, Any], scratch: Path) -> None:
    folder = studio.data_dir / "outputs" / job["job_id"]
    timings = json.loads((folder / "timings.json").read_text(encoding="utf-8"))
    shots = moments(timings)
    if len(shots) != len(SOUNDS):
        raise RuntimeError(f"only {[symbol for symbol, _ in shots]} are spoken")
    picture = Image.new("RGB", (3 * FRAME_PX, 2 * FRAME_PX), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for place, (_symbol, at_s) in enumerate(shots):
        shot = frame(folder / "video.mp4", at_s, scratch / "frame.png").resize(
            (FRAME_PX, FRAME_PX), Image.LANCZOS
        )
        corner = (place % 3 * FRAME_PX, place // 3 * FRAME_PX)
        picture.paste(shot, corner)
        pen.text(
            (corner[0] + 8, corner[1] + FRAME_PX - 24),
            f"{at_s:.2f} s",
            fill="white",
            font=font,
            stroke_width=2,
            stroke_fill="black",
        )
    picture.save(HERE / "draft.jpg", quality=JPEG_QUALITY, optimize=True)


def screenshot(browser: Browser, studio: Studio, language: str, job: dict[str, Any], scratch: Path) -> None:
    studio.forget_draft()
    context = browser.new_context(
        locale=language, viewport=VIEWPORT, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{studio.url}/#/")
    page.wait_for_selector("aio-voices .voice-row input:checked", state="attached")
    card = page.locator(f'aio-history [data-job="{job["job_id"]}"]')
    card.wait_for()
    card.get_by_role("link").first.click()
    page.wait_for_selector("aio-stage [data-status=completed]")
    page.fill("#script", SCRIPTS[language][1])
    page.wait_for_timeout(1500)
    page.locator("#script").blur()
    page.evaluate("scrollTo(0, 0)")
    shot = scratch / "page.png"
    page.screenshot(path=str(shot))
    Image.open(shot).convert("RGB").save(HERE / f"page-{language}.jpg", quality=JPEG_QUALITY, optimize=True)
    context.close()


def main() -> None:
    chromium = next((path for name in BROWSER_NAMES if (path := shutil.which(name))), None)
    if chromium is None:
        raise SystemExit("Chromium is needed.")
    with tempfile.TemporaryDirectory(prefix="docs-images-") as folder:
        scratch = Path(folder)
        with running_studio(scratch / "studio") as studio:
            jobs = {language: make_job(studio, language) for language in SCRIPTS}
            strip(studio, jobs["en"], scratch)
            system = studio.get("/api/system")
            sys.stdout.write(f"workers: {[(w['name'], w['rss_mib']) for w in system['workers']]}\n")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_FLAGS)
                for language, job in jobs.items():
                    screenshot(browser, studio, language, job, scratch)
                browser.close()


if __name__ == "__main__":
    main()
