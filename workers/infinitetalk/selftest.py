"""The self-test of an installation: a real short film with a tiny random model, by the worker's own code.

Runs in the Python of `infinitetalk_core/python_env`, started as a file by the installer; needs nothing but a folder
to write in. Flow: tiny networks, a tone and a shaded picture are made -> the worker's handler loads and makes a film
of three windows -> its pictures are decoded and looked at -> the same task again must find all windows finished.

Last line written: MARK and JSON with `code` and `error` (null when all is well), `detail`, `device`, `seconds`,
`frames`, `width`, `height`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import struct
import sys
import time
import traceback
import wave
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Started as a file in isolated mode, where neither this folder nor the repository is on the path.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if TYPE_CHECKING:
    from workers.handler import Task
    from workers.infinitetalk.handler import InfiniteTalkHandler

MARK = "all-in-one:"
# Of speech: windows of 9, 4 and 2 new frames, so that a window continues one that continues another.
SECONDS = 0.6
_RATE = 24_000
_PITCH_HZ, _SYLLABLE_HZ = 180.0, 4.0
_PORTRAIT = (90, 100)  # width and height, pixels
_SEED = 11
# Standard deviation of the pictures' numbers (0 to 255): a picture of one colour, as NaN gives, has none.
_LEAST_CONTRAST = 1.0
_KEPT = 4_000


class SelfTestError(Exception):
    """The film is there and is not what it must be."""


@dataclass
class Recorder:
    """A `TaskContext` that nobody watches."""

    cancelled: bool = False
    artifacts: list[Path] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def progress(self, fraction: float | None, message: str = "", **_more: Any) -> None:
        """Nobody looks."""

    def artifact(self, role: str, path: Path, **_more: Any) -> None:
        self.artifacts.append(path)

    def log(self, level: str, message: str) -> None:
        self.logged.append(f"{level}: {message}")

    def raise_if_cancelled(self) -> None:
        """Nobody cancels."""


def answer(folder: Path, device: str) -> dict[str, Any]:
    """Everything that can be said about the environment; never raises."""
    facts: dict[str, Any] = {"code": None, "error": None, "detail": "", "device": device}
    facts.update(seconds=None, frames=None, width=None, height=None)
    began = time.monotonic()
    said = io.StringIO()
    try:
        # Libraries greet and warn; the answer is to be found below all that.
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            facts.update(film(folder, device))
    except Exception as error:  # noqa: BLE001 - whatever a package or a driver raises is the answer
        facts.update(failure(error))
        facts["detail"] = f"{facts['detail']}\n{said.getvalue()}".strip()[-_KEPT:]
    facts["seconds"] = round(time.monotonic() - began, 1)
    return facts


def failure(error: Exception) -> dict[str, Any]:
    """`code`, `error` and `detail` of what was raised."""
    from workers.handler import TaskError

    if isinstance(error, TaskError):
        return {"code": error.code, "error": error.message, "detail": error.detail}
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(place[0].filename).name}:{place[0].lineno})" if place else ""
    return {
        "code": "no_output" if isinstance(error, SelfTestError) else "internal_error",
        "error": f"{type(error).__name__}: {error}{where}"[:_KEPT],
        "detail": "",
    }


def film(folder: Path, device: str) -> dict[str, Any]:
    """Make it in `folder` and look at it; returns `frames`, `width`, `height`. Raises SelfTestError, TaskError."""
    from imageio_ffmpeg import get_ffmpeg_exe

    from workers.infinitetalk.tiny_model import SIDE, make_models

    ffmpeg = get_ffmpeg_exe()
    make_models(folder / "models")
    handler = _handler(folder, device, ffmpeg)
    context = Recorder()
    result = handler.run(_task(folder, 1), context)
    wanted = math.ceil(SECONDS * result["fps"])
    if (result["frames"], result["width"], result["height"]) != (wanted, SIDE, SIDE):
        raise SelfTestError(
            f"{result['frames']} pictures of {result['width']}x{result['height']} came out, not {wanted} of {SIDE}x{SIDE}"
        )
    (path,) = context.artifacts
    check_pictures(path, wanted, ffmpeg)
    again = handler.run(_task(folder, 2), Recorder())
    if again["parts_reused"] != result["parts"]:
        raise SelfTestError(f"{again['parts_reused']} of {result['parts']} finished windows were found again")
    handler.unload()
    return {name: result[name] for name in ("frames", "width", "height")}


def check_pictures(path: Path, frames: int, ffmpeg: str) -> None:
    """Decode the first and the last picture: each must have contrast, and they must differ. Raises SelfTestError."""
    from workers.infinitetalk.frames import VideoSource

    source = VideoSource(path, ffmpeg)
    first, last = (source.frame(index).astype(float) for index in (0, frames - 1))
    for name, picture in (("first", first), ("last", last)):
        if picture.std() < _LEAST_CONTRAST:
            raise SelfTestError(f"the {name} picture has one colour")
    if (first == last).all():
        raise SelfTestError("the picture does not move")


def _handler(folder: Path, device: str, ffmpeg: str) -> InfiniteTalkHandler:
    from workers.handler import WorkerSetup
    from workers.infinitetalk.handler import create_handler

    handler = create_handler()
    handler.load(
        WorkerSetup(
            engine="infinitetalk",
            engine_root=None,
            work_dir=folder,
            models_dir=folder / "models",
            cache_dir=folder,
            device=None,
            options={"ffmpeg": ffmpeg, "device": device},
        )
    )
    return handler


def _task(folder: Path, attempt: int) -> Task:
    """The preset with a LoRA and two passes a step: that runs the most code."""
    from workers.handler import Task

    output = folder / f"attempt-{attempt}"
    output.mkdir(parents=True)
    inputs = {
        "audio": make_speech(folder / "speech.wav"),
        "portrait": make_portrait(folder / "portrait.png"),
    }
    params = {"preset": "fast", "resolution": "512p", "checkpoint_dir": str(folder / "windows")}
    return Task("selftest", attempt, "talking_avatar", "InfiniteTalk", inputs, params, output, _SEED)


def make_speech(path: Path) -> Path:
    """A tone that swells as syllables do, 16-bit mono."""

    def sample(number: int) -> int:
        turn = 2 * math.pi * number / _RATE
        return int(12_000 * math.sin(_PITCH_HZ * turn) * (0.55 + 0.45 * math.sin(_SYLLABLE_HZ * turn)))

    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_RATE)
        writer.writeframes(
            b"".join(struct.pack("<h", sample(number)) for number in range(round(SECONDS * _RATE)))
        )
    return path


def make_portrait(path: Path) -> Path:
    """A shaded picture as PNG (ISO/IEC 15948): 8-bit RGB, no filter."""
    width, height = _PORTRAIT
    rows = b"".join(
        b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, 128))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def main(argv: Sequence[str], write: Callable[[bytes], object]) -> int:
    """Answer on `write`; 0 when the film is good."""
    parser = argparse.ArgumentParser(
        prog="selftest", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("--device", choices=("cuda", "cpu"), required=True)
    arguments = parser.parse_args(argv)
    facts = answer(arguments.folder.resolve(), arguments.device)
    write(f"\n{MARK}{json.dumps(facts)}\n".encode())
    return 0 if facts["code"] is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], lambda data: os.write(1, data)))
