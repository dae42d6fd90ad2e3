"""Chinese readings of numbers. Pure functions; runs in the speech worker.

Source: GB/T 15835-2011 for what is a quantity and what is a string of digits; Xiandai Hanyu Cidian for 两 and 二
(两 before the units 千, 万, 亿 at the head of a number and before measure words; 二 elsewhere), 幺 for the digit
one in telephone numbers.
"""

from __future__ import annotations

_DIGITS = "零一二三四五六七八九"
_SMALL_UNITS = ("", "十", "百", "千")
_BIG_UNITS = ("", "万", "亿", "万亿", "亿亿")
# Beyond 10^20 nobody reads a number as a quantity.
MAX_CARDINAL_DIGITS = 20


def digits(text: str, *, telephone: bool = False) -> str:
    """Digit by digit; other characters are dropped. `telephone`: one is 幺."""
    names = _DIGITS.replace("一", "幺") if telephone else _DIGITS
    return "".join(names[int(character)] for character in text if character.isdecimal())


def _group(value: int) -> str:
    """1..9999 without leading zero."""
    parts: list[str] = []
    zero = False
    for power in (3, 2, 1, 0):
        digit = value // 10**power % 10
        if digit == 0:
            zero = bool(parts)
            continue
        if zero:
            parts.append("零")
            zero = False
        parts.append(_DIGITS[digit] + _SMALL_UNITS[power])
    return "".join(parts)


def cardinal(text: str) -> str:
    """A quantity: "0".."99999999999999999999", commas allowed; longer ones are read digit by digit."""
    plain = text.replace(",", "").replace("，", "")
    if len(plain) > MAX_CARDINAL_DIGITS or (len(plain) > 1 and plain.startswith("0")):
        return digits(plain)
    value = int(plain)
    if value == 0:
        return "零"
    groups: list[int] = []
    while value:
        groups.append(value % 10_000)
        value //= 10_000
    out = ""
    for power in range(len(groups) - 1, -1, -1):
        group = groups[power]
        if group == 0:
            continue
        lower = groups[power + 1] if power + 1 < len(groups) else None
        if out and (group < 1000 or lower == 0):
            out += "零"
        out += _group(group) + _BIG_UNITS[power]
    if out.startswith("一十"):
        out = out[1:]
    if out.startswith("二") and out[1:2] in ("千", "万", "亿"):
        out = "两" + out[1:]
    return out


def number(text: str) -> str:
    """A quantity with an optional fraction: "3.14" is 三点一四, ".5" is 零点五."""
    whole, dot, fraction = text.partition(".")
    spoken = cardinal(whole or "0")
    return f"{spoken}点{digits(fraction)}" if dot and fraction else spoken


def counted(text: str) -> str:
    """A quantity before a measure word: 2 alone is 两."""
    return "两" if text.replace(",", "") == "2" else number(text)


def year(text: str) -> str:
    """A year, digit by digit."""
    return digits(text)
