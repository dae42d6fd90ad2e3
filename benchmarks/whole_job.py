"""A whole job over HTTP, cold and warm: wall time against the length of the speech.

Run: `python -m benchmarks.whole_job`. Starts the real service on a free loopback port with a data folder of
its own (the speech model is linked from data/models) and speaks a new text each time, so that no cached
sentence helps. Prints one line per job and the bound that the product sets itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.service_start import ROOT, Service

# The product's own bound for a ten-second English job with warm workers.
BOUND = 0.9
WARM_JOBS = 3
TEXTS = (
    "Good morning, and welcome to our short tour of the garden. We planted these trees long before the house.",
    "Please take a seat and make yourself comfortable. The next train to the coast leaves in fifteen minutes.",
    "Our team has spent the whole summer testing this machine. Today we would like to show you how it works.",
    "Every voice has a colour of its own. Listen closely, and you will hear where a speaker comes from today.",
)


def call(base: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - loopback
        base + path,
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def run_job(base: str, text: str) -> tuple[float, float]:
    """Wall seconds from the post to `completed`, and seconds of speech."""
    began = time.monotonic()
    body = {"voice_id": "voice_builtinafheart", "avatar_url": "avatar_builtinaria", "script_input": text}
    job_id = call(base, "POST", "/api/jobs", body)["job_id"]
    while (view := call(base, "GET", f"/api/jobs/{job_id}"))["status"] not in {"completed", "failed"}:
        time.sleep(0.05)
    wall_s = time.monotonic() - began
    if view["status"] != "completed":
        raise SystemExit(f"the job failed: {view['error']}")
    timings = call(base, "GET", view["artifacts"]["timings"])
    return wall_s, float(timings["duration_s"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        subprocess.run(
            [sys.executable, "-m", "workers.speech.install", "--models-dir", str(ROOT / "data" / "models")],
            cwd=ROOT,
            check=True,
        )
        (data / "models").symlink_to(ROOT / "data" / "models")
        with Service(Path(folder)) as service:
            print(f"load average before: {os.getloadavg()[0]:.2f}")
            for index in range(WARM_JOBS + 1):
                # Two texts are about ten seconds; no pair is spoken twice in a row of the same sentences.
                text = f"Take {index}: {TEXTS[index % len(TEXTS)]} Part {index}: {TEXTS[(index + 1) % len(TEXTS)]}"
                wall_s, speech_s = run_job(service.base, text)
                kind = "cold" if index == 0 else "warm"
                bound = "" if index == 0 else f"  (bound {BOUND})"
                print(
                    f"{kind}: {speech_s:5.2f} s of speech in {wall_s:5.2f} s = {wall_s / speech_s:.2f}x{bound}"
                )


if __name__ == "__main__":
    main()
