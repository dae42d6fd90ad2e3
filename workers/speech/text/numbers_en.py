"""English readings of numbers. Pure functions; runs in the speech worker.

Source: the usual rules of American English (no "and" after hundred; years in pairs; decimals digit by digit).
"""

from __future__ import annotations

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
# Past the last scale a number is read digit by digit.
MAX_CARDINAL_DIGITS = 3 * len(_SCALES)


def digits(text: str) -> str:
    """Digit by digit: "007" is "zero zero seven"."""
    return " ".join(_ONES[int(character)] for character in text if character.isdecimal())


def _below_hundred(value: int) -> str:
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    parts = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest or not hundreds:
        parts.append(_below_hundred(rest))
    return " ".join(parts)


def cardinal(text: str) -> str:
    """A quantity; commas allowed. A leading zero or too many digits make it a string of digits."""
    plain = text.replace(",", "")
    if len(plain) > MAX_CARDINAL_DIGITS or (len(plain) > 1 and plain.startswith("0")):
        return digits(plain)
    value = int(plain)
    if value == 0:
        return "zero"
    parts: list[str] = []
    scale = 0
    while value:
        value, group = divmod(value, 1000)
        if group:
            parts.append(f"{_below_thousand(group)} {_SCALES[scale]}".strip())
        scale += 1
    return " ".join(reversed(parts))


def number(text: str) -> str:
    """A quantity with an optional fraction: "3.14" is "three point one four"."""
    whole, dot, fraction = text.replace(",", "").partition(".")
    spoken = cardinal(whole or "0")
    return f"{spoken} point {digits(fraction)}" if dot and fraction else spoken


def ordinal(text: str) -> str:
    """ "21" is "twenty first"."""
    head, _, last = cardinal(text).rpartition(" ")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    elif last.endswith("t"):
        last += "h"
    else:
        last += "th"
    return f"{head} {last}".strip()


def year(text: str) -> str:
    """A year of four digits: "1905" nineteen oh five, "2000" two thousand, "2008" two thousand eight."""
    century, rest = int(text[:2]), int(text[2:])
    if rest == 0:
        return cardinal(text) if century % 10 == 0 else f"{_below_hundred(century)} hundred"
    if century % 10 == 0 and rest < 10:
        return cardinal(text)
    if rest < 10:
        return f"{_below_hundred(century)} oh {_ONES[rest]}"
    return f"{_below_hundred(century)} {_below_hundred(rest)}"


def plural(spoken: str) -> str:
    """The decade or plural of a spoken number: "nineteen ninety" -> "nineteen nineties"."""
    if spoken.endswith("y"):
        return spoken[:-1] + "ies"
    return spoken + ("es" if spoken.endswith(("x", "s")) else "s")
