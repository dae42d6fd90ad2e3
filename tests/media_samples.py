"""Small media files for tests, made by the ffmpeg that the product uses."""

from __future__ import annotations

import subprocess
from pathlib import Path

from backend.utils.media.ffmpeg import Ffmpeg, locate_ffmpeg

FFMPEG = Ffmpeg(locate_ffmpeg(), threads=1)


def make(*arguments: str) -> None:
    """Run ffmpeg without any of the product's guards; a failure is the test's own fault."""
    subprocess.run(
        [str(FFMPEG.binary), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments],
        check=True,
        timeout=60,
    )


def make_video(path: Path, seconds: float = 2.0, *options: str, size: str = "64x64") -> Path:
    """A silent H.264 video at 25 fps."""
    picture = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}")
    codec = options or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    make(*picture, *codec, str(path))
    return path


def make_speech(path: Path, seconds: float = 2.0, *options: str) -> Path:
    """A tone, by default as the speech worker writes it: 24 kHz, mono, 16 bit."""
    make("-f", "lavfi", "-i", f"sine=f=300:r=24000:d={seconds}", *options, str(path))
    return path


def make_result(path: Path, video: Path, speech: Path, *options: str) -> Path:
    """A plain MP4 with both tracks."""
    make("-i", str(video), "-i", str(speech), "-c:v", "copy", "-c:a", "aac", *options, str(path))
    return path
