"""How well a recogniser understands the built-in voices.

    python benchmarks/speech_intelligibility.py render OUT --models-dir data/models   # product environment
    python benchmarks/speech_intelligibility.py hear OUT --whisper MODEL_DIR          # needs faster-whisper

The first command speaks a list of sentences with every offered voice, the second transcribes them with a Whisper
model in CTranslate2 form (base, multilingual, int8) and prints word errors (English), character errors and
toneless-pinyin errors (Chinese) or kana errors (Japanese) per voice. Numbers are read out on both sides before
comparing, so "350" and 三百五十 count as equal.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SENTENCES = {
    "en": [
        "Hello, and welcome to the digital human studio.",
        "Our new product helps small teams record training videos without a camera.",
        "In 2026, more than 60% of our lessons were recorded this way.",
        "Please upload a clear photo and a short voice sample to begin.",
        "The meeting on March 5 starts at 3:30 in the afternoon.",
        "Remember to speak slowly and keep your microphone close to your mouth.",
        "She paid $25 for two tickets, and the museum was closed.",
        "Thank you for watching, and see you next time.",
    ],
    "zh": [
        "你好，欢迎使用数字人生成系统。",
        "今天我们来介绍一款新的产品，它可以帮助您快速制作视频。",
        "请上传一张清晰的照片和一段录音，然后点击开始按钮。",
        "2026年3月5日，一共有350名学生参加了考试。",
        "这个周末天气晴朗，气温在18℃左右，适合和家人一起去公园散步。",
        "这家银行的行长说，去年的利润增长了12.5%。",
        "如果您有任何问题，请随时联系我们的客服人员。",
        "感谢您的观看，我们下次再见。",
    ],
    "ja": [
        "こんにちは、デジタルヒューマン生成システムへようこそ。",
        "今日は新しい製品を紹介します。",
        "写真と音声をアップロードして、開始ボタンを押してください。",
        "週末は天気が良いので、公園を散歩しましょう。",
        "会議は3月5日の午後3時に始まります。",
    ],
}
_PROMPTS = {"zh": "以下是普通话的句子，使用简体中文。", "ja": None, "en": None}


def render(out: Path, models_dir: Path) -> None:
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
    model = Kokoro(model_path(models_dir), vocabulary, threads=2)
    reader = Reader(assets / "g2p")
    library = VoiceLibrary(assets / "voices")
    synthesiser = Synthesiser(model, manifest.model_sha256, ClipCache(out / "cache", warn=print))
    for preset in library.presets:
        folder = out / preset.name
        folder.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(SENTENCES[preset.language]):
            units = reader.read(text, preset.language, british=preset.name.startswith("b"))  # type: ignore[arg-type]
            spoken = synthesiser.speak(units, library.get(preset.name), speed=1.0)
            if spoken is None:
                raise SystemExit(f"nothing to say in {text!r}")
            with WavWriter(folder / f"{number}.wav") as wav:
                wav.silence(4800)
                wav.write(spoken.samples)
                wav.silence(4800)
        print(preset.name, "rendered", flush=True)


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


def hear(out: Path, whisper: Path) -> None:
    """Transcribe what was rendered and print the errors of each voice."""
    from faster_whisper import WhisperModel

    presets: list[dict[str, Any]] = json.loads(
        (ROOT / "assets" / "voices" / "voices.json").read_text("utf-8")
    )
    model = WhisperModel(str(whisper), device="cpu", compute_type="int8", cpu_threads=2)
    for preset in presets:
        language = preset["language"]
        wrong = total = wrong_sounds = total_sounds = 0
        misheard = []
        for number, text in enumerate(SENTENCES[language]):
            path = out / preset["preset"] / f"{number}.wav"
            note = path.with_suffix(".txt")
            if note.exists():
                heard = note.read_text("utf-8")  # a second run only scores again
            else:
                segments, _ = model.transcribe(
                    str(path),
                    beam_size=5,
                    language=language,
                    initial_prompt=_PROMPTS[language],
                    condition_on_previous_text=False,
                    temperature=0.0,
                )
                heard = "".join(segment.text for segment in segments).strip()
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
        rate = f"{'WER' if language == 'en' else 'CER'} {wrong / total:6.1%} ({wrong}/{total})"
        sounds = (
            f"  sounds {wrong_sounds / total_sounds:6.1%} ({wrong_sounds}/{total_sounds})"
            if total_sounds
            else ""
        )
        print(f"{preset['preset']:12} {rate}{sounds}", flush=True)
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
    parser.add_argument("--whisper", type=Path)
    arguments = parser.parse_args()
    if arguments.step == "render":
        render(arguments.out, arguments.models_dir)
    elif arguments.whisper is None:
        parser.error("hear needs --whisper")
    else:
        hear(arguments.out, arguments.whisper)


if __name__ == "__main__":
    main()
