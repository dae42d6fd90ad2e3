"""How well a recogniser understands the built-in voices.

    python benchmarks/speech_intelligibility.py render OUT --models-dir data/models [--voices NAME ...]
    .venv-listen/bin/python benchmarks/speech_intelligibility.py hear OUT --models-dir data/models

The first command (product environment) speaks the list of sentences with every offered voice, the second transcribes
them with the product's own recogniser (Whisper base in 8 bits, `bash start.sh --with-recogniser`) and prints word
errors (English), character errors and toneless-pinyin errors (Chinese) or kana errors (Japanese) per voice. Numbers
are read out on both sides before comparing, so "350" and 三百五十 count as equal; traditional and simplified
characters count as equal where opencc-python-reimplemented is installed (else the prompt keeps most of them simple).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.speech_sentences import SENTENCES  # noqa: E402


def presets_of(voices: Sequence[str]) -> list[dict[str, Any]]:
    """The offered voices, or those of them that are named."""
    rows: list[dict[str, Any]] = json.loads((ROOT / "assets" / "voices" / "voices.json").read_text("utf-8"))
    return [row for row in rows if not voices or row["preset"] in voices]


def render(out: Path, models_dir: Path, voices: Sequence[str]) -> None:
    """Speak every sentence with every voice into OUT/<preset>/<n>.wav."""
    from workers.speech.cache import ClipCache
    from workers.speech.install import model_path, verified_manifest
    from workers.speech.kokoro import Kokoro
    from workers.speech.synthesis import Synthesiser
    from workers.speech.text.front import Reader
    from workers.speech.voices import VoiceLibrary
    from workers.speech.wav import WavWriter

    manifest = verified_manifest(models_dir)
    if manifest is None:
        raise SystemExit("run `python -m workers.speech.install` first")
    assets = ROOT / "assets"
    vocabulary = json.loads((assets / "g2p" / "kokoro_vocab.json").read_text("utf-8"))
    model = Kokoro(model_path(models_dir), vocabulary, threads=1)
    reader = Reader(assets / "g2p")
    library = VoiceLibrary(assets / "voices")
    synthesiser = Synthesiser(model, manifest.model_sha256, ClipCache(out / "cache", warn=print))
    for preset in presets_of(voices):
        name, language = preset["preset"], preset["language"]
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(SENTENCES[language]):
            units = reader.read(text, language, british=name.startswith("b"))
            spoken = synthesiser.speak(units, library.get(name), speed=1.0)
            if spoken is None:
                raise SystemExit(f"nothing to say in {text!r}")
            with WavWriter(folder / f"{number}.wav") as wav:
                wav.silence(4800)
                wav.write(spoken.samples)
                wav.silence(4800)
        print(name, "rendered", flush=True)


def simplified(text: str) -> str:
    """Simplified characters, when opencc-python-reimplemented is installed: Whisper mixes both kinds."""
    try:
        from opencc import OpenCC
    except ImportError:
        return text
    return str(OpenCC("t2s").convert(text))


def tokens_of(text: str, language: str) -> list[str]:
    """What is compared: words in English, characters else; numbers read out, marks and case gone."""
    from workers.speech.text import normalise_en, normalise_zh
    from workers.speech.text.rules import clean

    text = unicodedata.normalize("NFKC", text)
    if language == "en":
        text = re.sub(r"\b(\d{1,2})\.(\d{2})\b", r"\1:\2", text)  # 3.30, as the recogniser writes a time
        spoken = normalise_en.normalise(clean(text)).text.lower()
        return re.sub(r"[^a-z' ]", " ", spoken).split()
    if language == "zh":
        text = normalise_zh.normalise(clean(simplified(text))).text
    return list(re.sub(r"[\W_]", "", text))


def sounds_of(text: str, language: str) -> list[str]:
    """Toneless pinyin, or kana: what was heard, whatever characters the recogniser chose for it."""
    from workers.speech.text import normalise_ja
    from workers.speech.text.ja import Japanese
    from workers.speech.text.rules import clean
    from workers.speech.text.zh import Chinese

    if language == "zh":
        phrase = "".join(c for c in "".join(tokens_of(text, "zh")) if "\u4e00" <= c <= "\u9fff")
        return [syllable[:-1] for syllable in Chinese(ROOT / "assets" / "g2p").pinyin(phrase)]
    phrase = re.sub(r"[\W_]", "", normalise_ja.normalise(clean(unicodedata.normalize("NFKC", text))).text)
    return list("".join(Japanese().kana(phrase)))


def edit_distance(first: list[str], second: list[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(second) + 1))
    for index, left in enumerate(first, 1):
        previous, row[0] = row[0], index
        for column, right in enumerate(second, 1):
            previous, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, previous + (left != right)),
            )
    return row[-1]


def hear(out: Path, models_dir: Path, voices: Sequence[str]) -> None:
    """Transcribe what was rendered and print the errors of each voice."""
    from workers.listen.features import SAMPLE_RATE
    from workers.listen.install import model_dir
    from workers.listen.transcriber import Transcriber
    from workers.speech.resample import resample

    model: Transcriber | None = None
    for preset in presets_of(voices):
        language = preset["language"]
        wrong = total = wrong_sounds = total_sounds = 0
        misheard = []
        for number, text in enumerate(SENTENCES[language]):
            path = out / preset["preset"] / f"{number}.wav"
            note = path.with_suffix(".txt")
            if note.exists():
                heard = note.read_text("utf-8")  # a second run only scores again
            else:
                model = model or Transcriber(model_dir(models_dir), threads=1)
                with wave.open(str(path)) as source:
                    pcm = np.frombuffer(source.readframes(source.getnframes()), "<i2")
                    rate = source.getframerate()
                [heard] = model.hear(
                    [resample((pcm / 32768).astype(np.float32), rate, SAMPLE_RATE)], language
                )
                note.write_text(heard, encoding="utf-8")
            reference, guess = tokens_of(text, language), tokens_of(heard, language)
            errors = edit_distance(reference, guess)
            wrong, total = wrong + errors, total + len(reference)
            if language != "en":
                reference, guess = sounds_of(text, language), sounds_of(heard, language)
                wrong_sounds += edit_distance(reference, guess)
                total_sounds += len(reference)
            if errors:
                misheard.append(heard)
        rate_of = f"{'WER' if language == 'en' else 'CER'} {wrong / total:6.2%} ({wrong}/{total})"
        sounds = (
            f"  sounds {wrong_sounds / total_sounds:6.2%} ({wrong_sounds}/{total_sounds})"
            if total_sounds
            else ""
        )
        print(f"{preset['preset']:12} {rate_of}{sounds}", flush=True)
        for line in misheard:
            print("     ", line)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["render", "hear"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--voices", nargs="*", default=[])
    arguments = parser.parse_args()
    step = render if arguments.step == "render" else hear
    step(arguments.out, arguments.models_dir, arguments.voices)


if __name__ == "__main__":
    main()
