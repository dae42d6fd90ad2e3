"""Peak memory of the draft worker for a short and a long video.

    python -m benchmarks.draft_memory [--short 10] [--long 120]

Each length runs in its own process, which does what the worker does; its peak resident size is printed. The two
must lie within 10 %: nothing but the small tracks may grow with the length.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def default_portrait(folder: Path) -> Path:
    """A public-domain photograph (NASA) from scikit-image, a development dependency."""
    from PIL import Image
    from skimage import data

    path = folder / "portrait.png"
    Image.fromarray(data.astronaut()).save(path)  # type: ignore[no-untyped-call]
    return path


def speech_like(path: Path, seconds: float) -> Path:
    """Syllables of a buzz with noise between them, 24 kHz: busy enough to move the mouth all the time."""
    import numpy as np

    rate = 24_000
    rng = np.random.default_rng(0)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        for second in range(int(np.ceil(seconds))):
            count = int(min(1.0, seconds - second) * rate)
            t = second + np.arange(count) / rate
            pitch = 130 + 20 * np.sin(2 * np.pi * 0.7 * t)
            buzz = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 16))
            syllables = np.clip(np.sin(2 * np.pi * 2.3 * t) + 0.3, 0, 1)
            sound = 0.15 * buzz * syllables + 0.01 * rng.standard_normal(count)
            out.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def run_once(seconds: float, size: int) -> None:
    """Do one job and print the peak resident size of this process in MiB."""
    import imageio_ffmpeg

    from benchmarks.draft_speed import Silent
    from workers.draft.handler import DraftHandler
    from workers.handler import Task, WorkerSetup

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        handler = DraftHandler()
        options = {
            "ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(),
            "threads": 2,
            "assets_dir": str(ROOT / "assets"),
        }
        handler.load(WorkerSetup("draft", None, folder, folder, folder, None, options))
        # Made in a child, so that making the inputs does not count.
        script = (
            "import sys; from pathlib import Path; from benchmarks import draft_memory as m; p = Path(sys.argv[1]);"
            "m.default_portrait(p); m.speech_like(p / 'speech.wav', float(sys.argv[2]))"
        )
        subprocess.run([sys.executable, "-c", script, str(folder), str(seconds)], cwd=ROOT, check=True)
        inputs = {"portrait": folder / "portrait.png", "audio": folder / "speech.wav"}
        output = folder / "out"
        output.mkdir()
        handler.run(
            Task("job_00000001", 1, "talking_avatar", None, inputs, {"size": size}, output, 1), Silent()
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    print(f"{peak / (1024 if sys.platform != 'darwin' else 1024 * 1024):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", type=float, default=10.0)
    parser.add_argument("--long", type=float, default=120.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--once", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once is not None:
        run_once(args.once, args.size)
        return
    peaks = []
    for seconds in (args.short, args.long):
        command = [
            sys.executable,
            "-m",
            "benchmarks.draft_memory",
            "--once",
            str(seconds),
            "--size",
            str(args.size),
        ]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout.split()[-1]))
        print(f"{seconds:5.0f} s of video: peak {peaks[-1]:.0f} MiB resident")
    print(f"difference: {100 * (peaks[1] / peaks[0] - 1):+.1f} %")


if __name__ == "__main__":
    main()
