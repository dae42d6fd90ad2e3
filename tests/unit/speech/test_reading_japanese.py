"""Japanese numbers and counters are read with their sound changes."""

import pytest

from workers.speech.text import ja_sounds
from workers.speech.text.front import Reader
from workers.speech.text.normalise_ja import normalise
from workers.speech.text.numbers_ja import cardinal
from workers.speech.text.rules import clean


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("0", "ゼロ"), ("10", "ジュー"), ("300", "サンビャク"), ("600", "ロッピャク"), ("800", "ハッピャク"), ("3000", "サンゼン"),
        ("8000", "ハッセン"), ("10000", "イチマン"), ("12345", "イチマンニセンサンビャクヨンジューゴ"),
    ],
)  # fmt: skip
def test_quantities(written: str, spoken: str) -> None:
    assert cardinal(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("3人", "サンニン"), ("1人", "ヒトリ"), ("4人", "ヨニン"), ("1本", "イッポン"), ("3本", "サンボン"), ("10分", "ジュップン"),
        ("4月1日", "シガツツイタチ"), ("9時", "クジ"), ("20日", "ハツカ"), ("3つ", "ミッツ"), ("100円", "ヒャクエン"),
        ("2026年3月5日", "ニセンニジューロクネンサンガツイツカ"), ("50%", "ゴジュッパーセント"),
    ],
)  # fmt: skip
def test_counters(written: str, spoken: str) -> None:
    assert normalise(clean(written)).text == spoken


@pytest.mark.parametrize(
    ("kana", "symbols"),
    [
        ("コンニチワ", "koɲɲiʨiβa"),
        ("ガッコー", "ɡaʔkoː"),
        ("シンブン", "ɕimbɯɴ"),
        ("パーティー", "paːtʲiː"),
        ("キョー", "kʲoː"),
    ],
)
def test_kana_become_the_model_symbols(kana: str, symbols: str) -> None:
    assert ja_sounds.to_symbols(kana) == symbols


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("気温は-3℃から8℃", "気温はマイナスサンドからハチド"), ("3-2で勝ちました", "サンタイニで勝ちました"), ("第2章", "第ニショー"),
        ("1章と8巻", "イッショーとハッカン"), ("3月-5月", "サンガツ-ゴガツ"), ("二十日と一日中", "ハツカとイチニチジュー"),
    ],
)  # fmt: skip
def test_negative_numbers_results_chapters_and_days(written: str, spoken: str) -> None:
    assert normalise(clean(written)).text == spoken


def test_an_address_ends_where_kana_begin() -> None:
    assert normalise(clean("https://example.com/helpです")).text.endswith("です")


def test_a_doubled_consonant_survives_a_cut_inside_a_number(reader: Reader) -> None:
    assert "haʔpai" in [unit.phonemes for unit in reader.read("6本、8杯。", "ja")]
