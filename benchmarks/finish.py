"""How long the finish stage takes: `python -m benchmarks.finish` prints wall and CPU time.

Ten seconds of 512x512 video, with subtitle files and with subtitles burnt in.
"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

from backend.services.finish_service import FinishService, SubtitleMode
from backend.utils.media.ffmpeg import Ffmpeg, locate_ffmpeg

ASSETS = Path(__file__).resolve().parent.parent / "assets"
SECONDS = 10
MODES: tuple[SubtitleMode, ...] = ("file", "burn_in")


def _child_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _measure(service: FinishService, folder: Path, mode: SubtitleMode) -> None:
    started, cpu = time.perf_counter(), _child_cpu_s()
    await service.finish(
        job_id="job_benchmark1",
        work_dir=folder / mode,
        silent_video=folder / "video.mp4",
        audio=folder / "speech.wav",
        timings=folder / "timings.json",
        title="Benchmark",
        subtitles=mode,
        provenance={},
        report=lambda _fraction, _message: None,
        cancelled=lambda: False,
    )
    wall = time.perf_counter() - started
    print(
        f"{mode:8} {wall:5.2f} s wall, {_child_cpu_s() - cpu:5.2f} s CPU of ffmpeg, for {SECONDS} s of video"
    )


def main() -> None:
    ffmpeg = Ffmpeg(locate_ffmpeg())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source, codec, file in (
            ("testsrc2=s=512x512:r=25", ("-c:v", "libx264", "-pix_fmt", "yuv420p"), "video.mp4"),
            ("sine=f=300:r=24000", (), "speech.wav"),
        ):
            inputs = ["-f", "lavfi", "-i", source, "-t", str(SECONDS)]
            ffmpeg.run_checked(
                [*inputs, *codec, str(folder / file)], purpose="make the input", deadline_s=120
            )
        sentences = [
            {"text": "今天我们来试一试人工智能。", "start_s": at, "end_s": at + 2}
            for at in range(0, SECONDS, 2)
        ]
        (folder / "timings.json").write_text(json.dumps({"sentences": sentences}), encoding="utf-8")
        for mode in MODES:
            asyncio.run(_measure(FinishService(ffmpeg, ASSETS), folder, mode))


if __name__ == "__main__":
    main()
