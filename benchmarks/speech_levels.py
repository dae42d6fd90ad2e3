"""Measure the loudness of every offered voice and, with --write, set the gains in assets/voices/levels.json.

    python benchmarks/speech_levels.py --models-dir data/models [--write]

Prints one line per voice: loudness without gain, the gain that brings it to the target, loudness and peak with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from workers.speech.install import model_path  # noqa: E402
from workers.speech.kokoro import SAMPLE_RATE, Kokoro, Samples, Voice  # noqa: E402
from workers.speech.limiter import apply_gain  # noqa: E402
from workers.speech.loudness import integrated_loudness  # noqa: E402
from workers.speech.text.front import Reader  # noqa: E402
from workers.speech.text.language import Language  # noqa: E402
from workers.speech.utterances import join  # noqa: E402
from workers.speech.voices import LEVELS_FILE, VoiceLibrary  # noqa: E402

# Speech on the web is levelled to about this; it leaves 18 dB for peaks.
TARGET_LUFS = -20.0
LIMITER_ROUNDS = 3
SENTENCES: dict[Language, list[str]] = {
    "en": [
        "You can type any script here, and your avatar will read it aloud.",
        "The weather will be sunny, with a breeze.",
    ],
    "zh": [
        "今天我们来介绍一款新的产品，它可以帮助您快速制作视频。",
        "这个周末天气晴朗，适合和家人一起去公园散步。",
    ],
    "ja": [
        "写真と音声をアップロードして、開始ボタンを押してください。",
        "週末は天気が良いので、公園を散歩しましょう。",
    ],
}


def render(model: Kokoro, reader: Reader, voice: Voice, language: Language) -> Samples:
    """All sentences of a language in one voice, without gain."""
    parts = []
    for text in SENTENCES[language]:
        units = reader.read(text, language, british=voice.name.startswith("b"))
        clip = model.speak(join(units, model.knows).symbols, voice)
        parts.append(clip.samples)
    return np.concatenate(parts)


def main() -> None:
    """Print the table; write the gains when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    assets = ROOT / "assets"
    vocabulary = json.loads((assets / "g2p" / "kokoro_vocab.json").read_text("utf-8"))
    model = Kokoro(model_path(arguments.models_dir), vocabulary, threads=2)
    reader = Reader(assets / "g2p")
    library = VoiceLibrary(assets / "voices")
    gains = {}
    for preset in library.presets:
        voice = library.get(preset.name)
        language: Language = next(known for known in SENTENCES if known == preset.language)
        plain = render(model, reader, voice, language)
        before = integrated_loudness(plain, SAMPLE_RATE)
        gain = TARGET_LUFS - before
        for _ in range(LIMITER_ROUNDS):  # what the limiter takes off is put on again
            gain += TARGET_LUFS - integrated_loudness(apply_gain(plain, gain), SAMPLE_RATE)
        gains[preset.name] = round(gain, 2)
        levelled = apply_gain(plain, gains[preset.name])
        after, peak = integrated_loudness(levelled, SAMPLE_RATE), float(np.abs(levelled).max())
        print(
            f"{preset.name:12} {before:7.2f} LUFS  gain {gains[preset.name]:+6.2f} dB  -> {after:7.2f} LUFS  peak {peak:.3f}"
        )
    if arguments.write:
        path = assets / "voices" / LEVELS_FILE
        path.write_text(json.dumps(gains, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
