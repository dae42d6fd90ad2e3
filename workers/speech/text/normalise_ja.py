"""Japanese written forms -> what is said. Runs in the speech worker.

Flow: cleaned text -> rules, most specific first -> `Aligned` text; numbers become katakana, so that the
morphological analyser cannot read them wrongly.
"""

from __future__ import annotations

import re

from workers.speech.text import addresses
from workers.speech.text.aligned import Aligned
from workers.speech.text.numbers_ja import COUNTERS, cardinal, counted, digits, number
from workers.speech.text.rules import Fixed, Rule, apply_rules, rule

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# Behind a particle a hyphen before digits is a minus: 気温は-3℃.
_NEGATIVE = r"(?:(?<![\w)])|(?<=[はがもをにでとらの]))"
_START = r"(?<![\d.])"
_COUNTER = "|".join(map(re.escape, COUNTERS))
_UNITS = {
    "km": "キロメートル", "cm": "センチ", "mm": "ミリ", "m": "メートル", "kg": "キロ", "g": "グラム", "mg": "ミリグラム",
    "ml": "ミリリットル", "mL": "ミリリットル", "L": "リットル", "GB": "ギガバイト", "MB": "メガバイト", "TB": "テラバイト",
    "℃": "ド", "°C": "ド", "°": "ド", "Hz": "ヘルツ", "kHz": "キロヘルツ", "MHz": "メガヘルツ", "GHz": "ギガヘルツ",
    "W": "ワット", "kW": "キロワット", "km/h": "キロ", "s": "ビョー", "ms": "ミリビョー",
}  # fmt: skip
_UNIT = "|".join(re.escape(sign) for sign in sorted(_UNITS, key=len, reverse=True))
_CURRENCIES = {"¥": "エン", "$": "ドル", "€": "ユーロ", "£": "ポンド", "₩": "ウォン"}


@rule(_START + r"(\d{4})[-/](0?[1-9]|1[0-2])[-/](0?[1-9]|[12]\d|3[01])(?!\d)")
def _iso_date(match: re.Match[str]) -> str:
    parts = zip(match.groups(), "年月日", strict=True)
    return "".join(counted(str(int(value)), counter) for value, counter in parts)


@rule(_START + r"([01]?\d|2[0-4]):([0-5]\d)(?![\d:])")
def _clock(match: re.Match[str]) -> str:
    hour, minute = str(int(match[1])), str(int(match[2]))
    return counted(hour, "時") + (counted(minute, "分") if minute != "0" else "")


@rule(rf"(?:{_NEGATIVE}(-))?{_START}({_NUMBER})\s?%")
def _percent(match: re.Match[str]) -> str:
    return "マイナス" * bool(match[1]) + counted(match[2], "パーセント")


@rule(rf"([¥$€£₩])\s?({_NUMBER})(万|億)?")
def _money(match: re.Match[str]) -> str:
    scale = {"万": "マン", "億": "オク", None: ""}[match[3]]
    if match[1] == "¥" and not scale:
        return counted(match[2], "円")
    return number(match[2]) + scale + _CURRENCIES[match[1]]


@rule(r"(?<![\d.])(0\d{1,4})-(\d{1,4})-(\d{4})(?!\d)")
def _telephone(match: re.Match[str]) -> str:
    return "ノ".join(digits(group) for group in match.groups())


@rule(rf"{_START}({_NUMBER})\s?[-~〜～–]\s?({_NUMBER})\s?({_COUNTER})")
def _counted_range(match: re.Match[str]) -> str:
    return f"{number(match[1])}カラ{counted(match[2], match[3])}"


@rule(r"(?<![\d.-])(\d{1,3})\s?[-–]\s?(\d{1,3})(?=で(?:勝|負|敗|引き分|逆転|快勝|圧勝|辛勝|惜敗))")
def _result(match: re.Match[str]) -> str:
    """3-2で勝ちました."""
    return f"{number(match[1])}タイ{number(match[2])}"


@rule(r"(?<![一二三四五六七八九十\d])(二十日|一日中)")
def _days(match: re.Match[str]) -> str:
    return {"二十日": "ハツカ", "一日中": "イチニチジュー"}[match[1]]


@rule(rf"{_START}({_NUMBER})\s?[-~〜～–]\s?({_NUMBER})(?![\d-])")
def _range(match: re.Match[str]) -> str:
    return f"{number(match[1])}カラ{number(match[2])}"


@rule(rf"{_START}({_NUMBER})\s?({_COUNTER})")
def _counted(match: re.Match[str]) -> str:
    return counted(match[1], match[2])


@rule(rf"(?:{_NEGATIVE}(-))?{_START}({_NUMBER})\s?({_UNIT})(?![A-Za-z])")
def _measure(match: re.Match[str]) -> str:
    return "マイナス" * bool(match[1]) + number(match[2]) + _UNITS[match[3]]


@rule(r"(?<![\d./])([1-9]\d?)/([1-9]\d?)(?![\d/])")
def _fraction(match: re.Match[str]) -> str:
    return f"{cardinal(match[2])}ブンノ{cardinal(match[1])}"


@rule(r"(?<![\d.])(\d+)\.(\d+)\.(\d+)(?!\d)")
def _version(match: re.Match[str]) -> str:
    return "テン".join(cardinal(group) for group in match.groups())


@rule(rf"(?:{_NEGATIVE}(-))?(?<![\d.])({_NUMBER})")
def _plain(match: re.Match[str]) -> str:
    return "マイナス" * bool(match[1]) + number(match[2])


@rule(r"[&＆]")
def _and(_: re.Match[str]) -> str:
    return "アンド"


@rule(r"[+]")
def _plus(_: re.Match[str]) -> str:
    return "プラス"


@rule(r"[#@/=<>]")
def _silent(_: re.Match[str]) -> str:
    return " "


RULES: tuple[Rule, ...] = (
    addresses.email("アットマーク", "ドット"), addresses.url("ドット", "スラッシュ"), _iso_date, _clock, _percent, _money,
    _telephone, _version, _days, _result, _counted_range, _range, _fraction, _counted, _measure, _plain, _and, _plus, _silent,
)  # fmt: skip


def normalise(text: str, fixed: Fixed | None = None) -> Aligned:
    """Japanese reading of a cleaned sentence."""
    return apply_rules(text, RULES, fixed)
