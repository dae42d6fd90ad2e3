"""Formulas read in Chinese: powers, roots, Greek letters, signs between terms. Runs in the speech worker.

Flow: cleaned text -> rules that `normalise_zh` puts among its own.
"""

from __future__ import annotations

import re

from workers.speech.text.names_zh import ELEMENTS, GREEK, UNITS
from workers.speech.text.numbers_zh import cardinal, digits, number
from workers.speech.text.rules import Rule, rule

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_GREEK = "".join(GREEK)
_LEFT = rf"[\d)）A-Za-z%°′″℃²³⁰¹⁴-⁹!π{_GREEK}]"
_RIGHT = rf"[\d(（A-Za-z√{_GREEK}-]"
_COUNTED_NEXT = re.compile("[个名位家款种件条次本篇]")
_SIGNS = {
    "+": "加", "=": "等于", "×": "乘以", "÷": "除以", "*": "乘以", "<": "小于", ">": "大于", "≈": "约等于", "≠": "不等于",
    "≤": "小于等于", "≥": "大于等于", "±": "正负", "∈": "属于", "≡": "恒等于", "∝": "正比于", "→": "到",
}  # fmt: skip


@rule(r"(?<=[\dA-Za-z)）])(?:([⁰¹²³⁴-⁹]+)|\^\(?(-?\d+)\)?)")
def _power(match: re.Match[str]) -> str:
    power = (match[1] or match[2]).translate(_RAISED)
    named = {"2": "的平方", "3": "的立方"}.get(power)
    return named or f"的{'负' * power.startswith('-')}{cardinal(power.lstrip('-'))}次方"


@rule(r"(?<=sin|cos|tan|cot)\s?(\d{1,3}(?:\.\d+)?)°")
def _argument(match: re.Match[str]) -> str:
    return f" {number(match[1])}度"


@rule(rf"(?<=[⁰¹²³⁴-⁹])\s?({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})(?![A-Za-z])")
def _unit_of_power(match: re.Match[str]) -> str:
    """3×10⁸m/s."""
    return UNITS[match[1]]


@rule(r"√\s?(?=[\dA-Za-z(（])")
def _root(_: re.Match[str]) -> str:
    return "根号"


@rule(rf"[{_GREEK}]")
def _greek(match: re.Match[str]) -> str:
    return GREEK[match[0]]


@rule(r"(?<![\d.])(\d{1,3})°\s?(\d{1,2})['′’](?:\s?(\d{1,2}(?:\.\d+)?)[\"″”])?")
def _angle(match: re.Match[str]) -> str:
    spoken = f"{cardinal(match[1])}度{cardinal(str(int(match[2])))}分"
    return spoken + (f"{cardinal(match[3].split('.')[0])}秒" if match[3] else "")


@rule(r"(?<![A-Za-z\d])((?:[A-Z][a-z]?\d{0,2}){1,6})(?![A-Za-z\d])")
def _compound(match: re.Match[str]) -> str | None:
    """H2O, CO2: digits behind the signs of elements are counted in Chinese."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", match[1])
    if not any(number for _, number in parts) or (len(parts) == 1 and parts[0][0] not in {"O", "H", "N"}):
        return None
    if any(element not in ELEMENTS for element, _ in parts):
        return None
    return "".join(
        f"{' '.join(element.upper())} {cardinal(number) if number else ''} " for element, number in parts
    )


@rule(r"(?<=\d)\s?-\s?(?=\d+(?:\.\d+)?\s?=)|(?<=[\dA-Za-z)²³])\s?-\s?(?=[\dA-Za-z(]{1,6}[²³]?\s?[=+×÷])")
def _minus(match: re.Match[str]) -> str | None:
    if (
        match.string[: match.start()][-3:].isalpha()
        and "=" not in match.string[match.end() : match.end() + 12]
    ):
        return None  # a hyphen between words
    return "减"


@rule(r"(?<=[\d)])\s?/\s?(?=\d+(?:\.\d+)?\s?=)")
def _divided(_: re.Match[str]) -> str:
    return "除以"


@rule(rf"(?<={_LEFT})\s?([{re.escape(''.join(_SIGNS))}])\s?(?={_RIGHT})")
def _sign(match: re.Match[str]) -> str:
    return _SIGNS[match[1]]


@rule(r"(?<=[\u4e00-\u9fff])\s?([=×÷≈≠≤≥])\s?(?=[\d(（A-Za-z\u4e00-\u9fff])")
def _sign_of_words(match: re.Match[str]) -> str:
    """时间×速度=路程."""
    return _SIGNS[match[1]]


@rule(r"(?<![\dA-Za-z)）<>])([±≤≥<>≈≠])\s?(?=[\d¥$])")
def _sign_before(match: re.Match[str]) -> str:
    """±5%, ≤10kg, >18岁."""
    return _SIGNS[match[1]]


@rule(r"(?<=[\d万亿千百十wk%])\+(?![\dA-Za-z+])|(?<=[A-Za-z\u4e00-\u9fff])\s?\+\s?(?=[\u4e00-\u9fff])")
def _and_more(match: re.Match[str]) -> str:
    """100+个, 18+, 相机+镜头."""
    return "多" if _COUNTED_NEXT.match(match.string, match.end()) else "加"


@rule(r"[⁰¹²³⁴-⁹]+")
def _raised(match: re.Match[str]) -> str:
    return digits(match[0].translate(_RAISED))


FIRST: tuple[Rule, ...] = (_angle, _argument, _unit_of_power, _compound, _root, _divided)
MINUS = _minus
SIGNS: tuple[Rule, ...] = (_power, _sign, _sign_before, _sign_of_words, _and_more, _greek, _raised)
