"""CPU cost of the draft engine beside a network of Wav2Lip's size, for the same frames, in one run.

    python -m benchmarks.draft_speed [--portrait FILE] [--audio FILE] [--seconds 10] [--size 512]

Prints, per second of video: CPU seconds of our Python process (rendering, and the whole task), CPU seconds of the
encoder child, and CPU seconds of the network alone (no detection, no paste-back, no encoding: its best case).
The two are measured in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

# One BLAS thread, as the worker runs: the arrays are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import imageio_ffmpeg
import numpy as np
import onnxruntime

from benchmarks.draft_memory import default_portrait, speech_like
from benchmarks.wav2lip_size import build
from workers.draft.handler import DraftHandler
from workers.handler import Task, WorkerSetup

ROOT = Path(__file__).resolve().parents[1]
FPS = 25
# Frames of the network per turn; its cost per frame does not depend on their number.
NETWORK_FRAMES = 12
BATCH = 4
TURNS = 3


class Silent:
    """A task context that measures when frames are done."""

    cancelled = False

    def __init__(self) -> None:
        self.first_frame_cpu = 0.0
        self.last_frame_cpu = 0.0

    def progress(self, fraction: float | None, message: str = "", **facts: object) -> None:
        if facts.get("step") is not None:
            self.last_frame_cpu = time.process_time()
            self.first_frame_cpu = self.first_frame_cpu or self.last_frame_cpu

    def artifact(self, role: str, path: Path, **facts: object) -> None:
        """Nothing to hand over."""

    def log(self, level: str, message: str) -> None:
        print(level, message)

    def raise_if_cancelled(self) -> None:
        """Never."""


def network_session(folder: Path, threads: int) -> tuple[onnxruntime.InferenceSession, int, int]:
    path = folder / "network.onnx"
    parameters, macs = build(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session, parameters, macs


def network_cpu_per_frame(session: onnxruntime.InferenceSession) -> float:
    """CPU seconds per frame."""
    feed = {
        "face": np.random.default_rng(0).random((BATCH, 6, 96, 96), np.float32),
        "mel": np.random.default_rng(1).random((BATCH, 1, 80, 16), np.float32),
    }
    session.run(None, feed)
    start = time.process_time()
    for _ in range(NETWORK_FRAMES // BATCH):
        session.run(None, feed)
    return (time.process_time() - start) / (NETWORK_FRAMES // BATCH * BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portrait", type=Path)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portrait = args.portrait or default_portrait(folder)
        audio = args.audio or speech_like(folder / "speech.wav", args.seconds)
        session, parameters, macs = network_session(folder, args.threads)
        handler = DraftHandler()
        options = {
            "ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(),
            "threads": args.threads,
            "assets_dir": str(ROOT / "assets"),
        }
        handler.load(WorkerSetup("draft", None, folder, folder, folder, None, options))
        frame_cpu, task_cpu, child_cpu, network = [], [], [], []
        for turn in range(TURNS):
            network.append(network_cpu_per_frame(session) * FPS)
            output = folder / str(turn)
            output.mkdir()
            context = Silent()
            inputs = {"portrait": portrait, "audio": audio}
            params = {"size": args.size, "fps": FPS}
            before, children = time.process_time(), os.times()
            data = handler.run(
                Task("job_00000001", 1, "talking_avatar", None, inputs, params, output, turn), context
            )
            after, ended = time.process_time(), os.times()
            seconds = data["frames"] / FPS
            frame_cpu.append((context.last_frame_cpu - context.first_frame_cpu) / (seconds - 1 / FPS))
            task_cpu.append((after - before) / seconds)
            child_cpu.append(
                (
                    ended.children_user
                    + ended.children_system
                    - children.children_user
                    - children.children_system
                )
                / seconds
            )
        ours, whole, child, theirs = (float(np.median(v)) for v in (frame_cpu, task_cpu, child_cpu, network))
        print(f"video: {data['frames']} frames {data['width']}x{data['height']}, driver {data['driver']}")
        print(
            f"network: {parameters / 1e6:.1f} M parameters, {macs / 1e9:.2f} GMAC per frame, random weights"
        )
        print(f"load average: {', '.join(f'{v:.1f}' for v in os.getloadavg())} on {os.cpu_count()} cores")
        print("CPU seconds per second of video (median of 3 turns; least, most):")
        for label, values in (
            ("draft rendering (Python)", frame_cpu),
            ("draft whole task, warm (Python)", task_cpu),
            ("encoder child (ffmpeg)", child_cpu),
            ("Wav2Lip-size network alone", network),
        ):
            print(f"  {label:34s} {float(np.median(values)):.3f}  ({min(values):.3f}, {max(values):.3f})")
        print(f"network / draft rendering: {theirs / ours:.1f} times")
        print(f"network / (draft whole task + encoder): {theirs / (whole + child):.1f} times")


if __name__ == "__main__":
    main()
