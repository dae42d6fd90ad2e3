"""The in-memory twin of a worker: does the tasks of the speech and draft workers with tiny real files.

The WAV is a real tone, the video a real H.264 file of the right length, so everything after the engines runs
for real. What goes wrong is scripted with `fail_next`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import struct
import subprocess
import wave
from collections import deque
from collections.abc import Callable
from pathlib import Path

from backend.engines.worker_types import (
    ProgressUpdate,
    TaskRequest,
    TaskResult,
    WorkerArtifact,
    WorkerSnapshot,
)
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.media.ffmpeg import locate_ffmpeg
from tests.support.speech_task import MemoryContext
from workers.handler import Task, TaskError
from workers.speech.check import run_check
from workers.speech.text.front import Reader

RATE = 24_000
SECONDS_PER_CHARACTER = 0.05


@functools.cache
def _reader() -> Reader:
    return Reader(Path(__file__).resolve().parents[2] / "assets" / "g2p")


def write_tone(path: Path, seconds: float) -> None:
    """A 220 Hz tone, mono, 16 bit, 24 kHz."""
    count = round(seconds * RATE)
    samples = (round(8000 * math.sin(2 * math.pi * 220 * n / RATE)) for n in range(count))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def wav_seconds(path: Path) -> float:
    with wave.open(str(path), "rb") as source:
        return source.getnframes() / source.getframerate()


def write_video(path: Path, seconds: float, *, source: str = "testsrc=size=128x128:rate=25") -> None:
    """A silent H.264 file."""
    frames = math.ceil(seconds * 25)
    command = [str(locate_ffmpeg()), "-y", "-loglevel", "error", "-f", "lavfi", "-i", source]
    command += ["-frames:v", str(frames), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(path)], check=True, timeout=60, stdin=subprocess.DEVNULL)


class TwinWorker:
    """See the module. `gate` closed holds every task after its first progress report, `gate_of[mode]` those matches.

    Its videos are as large as `frame`, width and height. `gave_way` counts the tasks that were cancelled while they were held.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[TaskRequest] = []
        self.failures: deque[BaseException | None] = deque()
        self.gate = asyncio.Event()
        self.gate.set()
        self.gate_of = {mode: asyncio.Event() for mode in ("fast", "refine")}
        for gate in self.gate_of.values():
            gate.set()
        self.gave_way = 0
        self.refined_score = 0.78
        self.frame = (128, 128)
        self.stopped = 0
        self.portrait_warnings: list[dict[str, str]] = []
        self.warmed = 0

    def fail_next(self, *errors: BaseException | None) -> None:
        """The next tasks raise these in turn; None lets one pass."""
        self.failures.extend(errors)

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        self.stopped += 1

    async def warm(self) -> None:
        self.warmed += 1

    def snapshot(self) -> WorkerSnapshot:
        return WorkerSnapshot(name=self.name, state="idle")

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult:
        self.seen.append(request)
        if report is not None:
            report(ProgressUpdate(0.5, "half way", "", None, None, None))
        own_gate = self.gate_of.get(str(request.params.get("mode")), self.gate)
        while not (self.gate.is_set() and own_gate.is_set()):
            if cancelled():
                self.gave_way += 1
                raise JobCancelled
            await asyncio.sleep(0.01)
        if self.failures and (error := self.failures.popleft()) is not None:
            raise error
        return await asyncio.to_thread(self._do, request)

    def _do(self, request: TaskRequest) -> TaskResult:
        out = request.output_dir
        if request.task == "speech":
            script = json.loads(request.inputs["script"].read_text(encoding="utf-8"))
            seconds = max(0.4, len(script["text"]) * SECONDS_PER_CHARACTER)
            write_tone(out / "speech.wav", seconds)
            (out / "timings.json").write_text(json.dumps(timings(script["text"], seconds)), encoding="utf-8")
            data = {"duration_s": seconds, "language": "en", "sentences": 1, "cached_sentences": 0}
            return self._result(data, ("speech", "speech.wav"), ("timings", "timings.json"), out=out)
        if request.task == "script_check":
            return self._result(self._checked(request), ("check", "check.json"), out=out)
        if request.task == "voice_enrol":
            write_tone(out / "reference.wav", 4.0)
            write_tone(out / "reference_16k.wav", 4.0)
            data = {"duration_s": 4.0, "speech_s": 4.0, "used_s": 4.0, "findings": []}
            files = (("reference", "reference.wav"), ("reference_16k", "reference_16k.wav"))
            return self._result(data, *files, out=out)
        if request.task == "voice_match":
            assert wav_seconds(request.inputs["reference"]) > 0
            refined = request.params["mode"] == "refine"
            if refined:
                assert request.inputs["profile"].read_bytes().startswith(b"twin profile")
            (out / "profile.npz").write_bytes(b"twin profile " + str(request.params["mode"]).encode())
            similarity = {
                "score": self.refined_score if refined else 0.71,
                "encoder": "twin",
                "stage": "refined" if refined else "fast",
            }
            data = {
                "similarity": similarity,
                "nearest_voice": "am_michael",
                "f0_hz": 110.0,
                "gender_guess": "male",
            }
            return self._result(data, ("profile", "profile.npz"), out=out)
        if request.task == "portrait_probe":
            (out / "portrait.png").write_bytes(request.inputs["image"].read_bytes())
            (out / "thumbnail.jpg").write_bytes(request.inputs["image"].read_bytes())
            face = {"x": 0.3, "y": 0.2, "w": 0.4, "h": 0.5, "score": 0.99, "size_px": 200, "yaw_deg": 1.0}
            crop = request.params.get("crop")
            data = {"width": 512, "height": 512, "faces": [face], "chosen": 0, "crop": crop}
            data["warnings"] = self.portrait_warnings
            kept = [("portrait", "portrait.png"), ("thumbnail", "thumbnail.jpg")]
            if crop is not None:
                (out / "whole.png").write_bytes(request.inputs["image"].read_bytes())
                kept.append(("whole", "whole.png"))
            return self._result(data, *kept, out=out)
        assert request.task in {"talking_avatar", "text_to_video"}
        seconds = wav_seconds(request.inputs["audio"])
        width, height = self.frame
        write_video(out / "video.mp4", seconds, source=f"testsrc=size={width}x{height}:rate=25")
        data = {
            "frames": math.ceil(seconds * 25),
            "fps": 25,
            "width": width,
            "height": height,
            "warnings": [],
        }
        return self._result(data, ("video", "video.mp4"), out=out)

    @staticmethod
    def _checked(request: TaskRequest) -> dict[str, object]:
        """Looking at a text needs no model: the worker's own code does it."""
        task = Task(request.job_id, 1, request.task, None, request.inputs, {}, request.output_dir, 0)
        try:
            return run_check(task, MemoryContext(), _reader())
        except TaskError as error:
            raise EngineFailure(ErrorCode(error.code), error.message) from error

    @staticmethod
    def _result(data: dict[str, object], *files: tuple[str, str], out: Path) -> TaskResult:
        artifacts = tuple(
            WorkerArtifact(role, out / name, (out / name).stat().st_size, "", "", None, None, None, None)
            for role, name in files
        )
        return TaskResult(data=data, artifacts=artifacts, metrics={})


def timings(text: str, seconds: float) -> dict[str, object]:
    """timings.json with one sentence and evenly spread words."""
    words = text.split() or [text]
    step = seconds / len(words)
    spans = [
        {"text": word, "start_s": index * step, "end_s": (index + 1) * step}
        for index, word in enumerate(words)
    ]
    sentence = {"index": 0, "text": text, "start_s": 0.0, "end_s": seconds, "words": spans, "phonemes": []}
    return {
        "version": 1,
        "engine": "twin",
        "voice": "twin",
        "language": "en",
        "duration_s": seconds,
        "sentences": [sentence],
    }
