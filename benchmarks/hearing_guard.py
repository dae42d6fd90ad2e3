"""How well the guard hears a swallowed word, and how often it doubts a sentence that is right.

    python benchmarks/hearing_guard.py render OUT --models-dir data/models [--voices NAME ...]
    .venv-listen/bin/python benchmarks/hearing_guard.py hear OUT --models-dir data/models

The first command (product environment) speaks each language's sentences as one script and makes a second recording
from which one word of each sentence is cut out, by its times. The second has the product's listening task hear both
and prints, per voice: doubts about whole sentences (false alarms), doubts about cut ones (caught), and what a second
of speech costs. Which word is cut is drawn with a fixed seed among words with at least four sounds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.speech_sentences import SENTENCES  # noqa: E402
from workers.handler import Task, WorkerSetup  # noqa: E402

VOICES = {"en": "af_heart", "zh": "zf_xiaobei", "ja": "jf_alpha"}
# A word with fewer sounds is a particle or an article, which people swallow too.
MIN_SOUNDS = 4
SEED = 20261122


class Context:
    """A TaskContext that keeps the artifacts."""

    cancelled = False

    def __init__(self) -> None:
        self.artifacts: dict[str, Path] = {}

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        """Ignored."""

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        """Kept."""
        self.artifacts[role] = path

    def log(self, level: str, message: str) -> None:
        """Shown: a benchmark that warns is not to be trusted."""
        print(level, message)

    def raise_if_cancelled(self) -> None:
        """Never."""


def language_of(voice: str) -> str:
    """The language of a preset, by the first letter of its name."""
    return {"z": "zh", "j": "ja"}.get(voice[0], "en")


def task_of(name: str, inputs: dict[str, Path], params: dict[str, Any], folder: Path) -> Task:
    """A task as the host would hand it over."""
    folder.mkdir(parents=True, exist_ok=True)
    return Task("benchmark", 1, name, None, inputs, params, folder, 0)


def render(out: Path, models_dir: Path, voices: Sequence[str]) -> None:
    """OUT/<voice>/speech.wav, timings.json and cut.wav, cut.json."""
    import imageio_ffmpeg

    from workers.speech.handler import create_handler

    handler = create_handler()
    options = {"ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(), "threads": 1, "assets_dir": str(ROOT / "assets")}
    handler.load(WorkerSetup("speech", None, out, models_dir, out / "cache", None, options))
    for voice in voices:
        language, folder = language_of(voice), out / voice
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "script.json"
        text = "\n".join(SENTENCES[language])
        script.write_text(json.dumps({"text": text, "language": language}), encoding="utf-8")
        handler.run(task_of("speech", {"script": script}, {"voice": voice}, folder), Context())
        cut_words(folder)
        print(voice, "rendered", flush=True)


def cut_words(folder: Path) -> None:
    """One word out of each sentence; its samples are gone and everything after it is earlier."""
    draw = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    timings = json.loads((folder / "timings.json").read_text("utf-8"))
    with wave.open(str(folder / "speech.wav")) as source:
        rate = source.getframerate()
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2")
    pieces, position, gone = [], 0, 0.0
    for sentence in timings["sentences"]:
        long = [
            word
            for word in sentence["words"]
            if sum(
                word["start_s"] <= p["start_s"] < word["end_s"] and p["symbol"].isalpha()
                for p in sentence["phonemes"]
            )
            >= MIN_SOUNDS
        ]
        sentence["start_s"] -= gone
        if long:
            word = draw.choice(long)
            start, end = round(word["start_s"] * rate), round(word["end_s"] * rate)
            pieces.append(samples[position:start])
            position = end
            gone += (end - start) / rate
            sentence["cut"] = word["text"]
        sentence["end_s"] -= gone
    pieces.append(samples[position:])
    with wave.open(str(folder / "cut.wav"), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(np.concatenate(pieces).tobytes())
    (folder / "cut.json").write_text(json.dumps(timings, ensure_ascii=False), encoding="utf-8")


def hear(out: Path, models_dir: Path, voices: Sequence[str]) -> None:
    """Hear what was rendered and print the table."""
    from workers.listen.handler import create_handler

    handler = create_handler()
    handler.load(
        WorkerSetup(
            "listen", None, out, models_dir, out, None, {"threads": 1, "assets_dir": str(ROOT / "assets")}
        )
    )
    for voice in voices:
        rows = {}
        for name, audio, timings in (
            ("whole", "speech.wav", "timings.json"),
            ("cut", "cut.wav", "cut.json"),
        ):
            folder = out / voice
            inputs = {"audio": folder / audio, "timings": folder / timings}
            before, wall = time.process_time(), time.perf_counter()
            handler.run(task_of("listen", inputs, {}, folder / f"heard-{name}"), Context())
            cpu, wall = time.process_time() - before, time.perf_counter() - wall
            heard = json.loads((folder / f"heard-{name}" / "heard.json").read_text("utf-8"))["sentences"]
            rows[name] = heard
            with wave.open(str(folder / audio)) as source:
                seconds = source.getnframes() / source.getframerate()
            print(f"{voice} {name}: {cpu / seconds:.2f} CPU s, {wall / seconds:.2f} s wall per second")
        cut = {
            row["index"]: row.get("cut")
            for row in json.loads((out / voice / "cut.json").read_text("utf-8"))["sentences"]
        }
        alarms = [row for row in rows["whole"] if not row["ok"]]
        meant = [row for row in rows["cut"] if cut[row["index"]]]
        missed = [row for row in meant if row["ok"]]
        print(
            f"{voice}: false alarms {len(alarms)}/{len(rows['whole'])}, caught {len(meant) - len(missed)}/{len(meant)}"
        )
        for row in alarms:
            print("   alarm ", row["error"], row["missing"], row["heard"])
        for row in missed:
            print("   missed", cut[row["index"]], row["error"], row["missing"], row["heard"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["render", "hear"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--voices", nargs="*", default=list(VOICES.values()))
    arguments = parser.parse_args()
    step = render if arguments.step == "render" else hear
    step(arguments.out, arguments.models_dir, arguments.voices)


if __name__ == "__main__":
    main()
