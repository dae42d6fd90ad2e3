"""English written forms -> what is said. Runs in the speech worker.

Flow: cleaned text -> rules, most specific first -> `Aligned` text of words and marks.
"""

from __future__ import annotations

import re

from workers.speech.text import addresses, markup, strings_en
from workers.speech.text.aligned import Aligned
from workers.speech.text.names_en import ABBREVIATIONS, CURRENCIES, SCALE_WORDS, UNITS
from workers.speech.text.numbers_en import cardinal, digits, number, ordinal, plural, year
from workers.speech.text.rules import Fixed, Rule, apply_rules, rule

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_START = r"(?<![\w.])"
_START_DIGIT = r"(?<![\d.])"
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SHORT_MONTHS = {name[:3].lower(): name for name in _MONTHS} | {"sept": "September"}
_MONTH = "|".join([*_MONTHS, *(rf"{name[:3]}\.?" for name in _MONTHS if name != "May"), r"Sept\.?"])
_UNIT = "|".join(re.escape(sign) for sign in sorted(UNITS, key=len, reverse=True))
_CURRENCY = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_FRACTIONS = {2: ("half", "halves"), 4: ("quarter", "quarters")}
# Words after which four digits are a year, and words after which they never are.
_YEAR_CUES = re.compile(
    rf"(?:\b(?:in|since|by|from|until|till|of|year|during|before|after|early|late|mid|circa|c|summer|spring|fall|"
    rf"autumn|winter|{_MONTH})\s+|\b(?:copyright|©)\s*|[(]|,\s*)\Z",
    re.IGNORECASE,
)
_COUNTED_AFTER = re.compile(
    r"\s+(?!is\b|was\b|has\b|as\b|this\b|its\b)[a-z]+s\b|\s+(?:people|percent|or more)\b|\s*[-–]\s*\w"
)

# "the 21st of May" has its article, and "last 4 July" needs none.
_DETERMINER_BEFORE = re.compile(r"\b(?:the|this|that|every|each|last|next|a|my|our)\s+\Z", re.IGNORECASE)
_CLOCK_BEFORE = re.compile(r"\d(?::[0-5]\d(?:\s?[ap]\.?m\.?)?|\s?[ap]\.?m\.?)\Z", re.IGNORECASE)
# E.164: a number has at most 15 digits; fewer than seven are no telephone number.
_TELEPHONE_DIGITS = range(7, 16)


def _quantity(text: str, unit: tuple[str, str]) -> str:
    return f"{number(text)} {unit[0] if text == '1' else unit[1]}"


def _month(text: str) -> str:
    return _SHORT_MONTHS[text.rstrip(".").lower()[:3]]


def _is_year(text: str) -> bool:
    return "1000" <= text <= "2099"


@rule(_START + r"(\d{4})[-/](0?[1-9]|1[0-2])[-/](0?[1-9]|[12]\d|3[01])(?!\d)")
def _iso_date(match: re.Match[str]) -> str:
    return f"{_MONTHS[int(match[2]) - 1]} {ordinal(str(int(match[3])))}, {year(match[1])}"


@rule(_START + r"(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])/(\d{4}|\d{2})(?!\d)")
def _us_date(match: re.Match[str]) -> str:
    spoken_year = year(match[3]) if len(match[3]) == 4 else cardinal(match[3].lstrip("0") or "0")
    return f"{_MONTHS[int(match[1]) - 1]} {ordinal(str(int(match[2])))}, {spoken_year}"


@rule(rf"\b({_MONTH})\s+([12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?!\d|:|\.\d)(?:(,?\s+)(\d{{4}})(?!\d))?")
def _month_day(match: re.Match[str]) -> str:
    spoken = f"{_month(match[1])} {ordinal(str(int(match[2])))}"
    return f"{spoken}, {year(match[4])}" if match[4] else spoken


@rule(rf"{_START}([12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?\s+(?:of\s+)?({_MONTH})\b\.?(?:,?\s+(\d{{4}})(?!\d))?")
def _day_month(match: re.Match[str]) -> str:
    determined = _DETERMINER_BEFORE.search(match.string, 0, match.start())
    spoken = f"{'' if determined else 'the '}{ordinal(str(int(match[1])))} of {_month(match[2])}"
    return f"{spoken} {year(match[3])}" if match[3] else spoken


@rule(rf"\b({'|'.join(name[:3] for name in _MONTHS if name != 'May')}|Sept)\.?(?=\s+\d{{4}}\b)")
def _short_month(match: re.Match[str]) -> str:
    return _month(match[1])


@rule(_START + r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?:\s?([ap])\.?\s?m\b\.?)?(?![\d:])", re.IGNORECASE)
def _clock(match: re.Match[str]) -> str:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    spoken = cardinal(str(int(hour)))
    if minute == "00":
        if not half and not second:
            spoken += " o'clock" if 1 <= int(hour) <= 12 else " hundred"
    else:
        spoken += f" oh {cardinal(minute[1])}" if minute[0] == "0" else f" {cardinal(minute)}"
    if second:
        spoken += f" and {cardinal(str(int(second)))} seconds"
    return _with_half(match, spoken, half)


@rule(r"\s?[-–—~]\s?(?=\d{1,2}(?::[0-5]\d|\s?[ap]\.?m\b))", re.IGNORECASE)
def _until(match: re.Match[str]) -> str | None:
    """8:00-9:30: the dash between two times of day."""
    before = match.string[max(0, match.start() - 10) : match.start()]
    return " to " if _CLOCK_BEFORE.search(before) else None


@rule(r"(?<![\w.'])([1-9])\s?['′]\s?(\d|1[01])(?:\"|''|[”″])?(?![\w'])")
def _feet_and_inches(match: re.Match[str]) -> str:
    """6'2\" is a height: six foot two."""
    return f"{cardinal(match[1])} foot {cardinal(match[2])}"


def _with_half(match: re.Match[str], spoken: str, half: str | None) -> str:
    """Add A M or P M, and give back the full stop that "p.m." at the end of a sentence has swallowed."""
    if not half:
        return spoken
    stop = "." if match[0].endswith(".") and not match.string[match.end() :].strip() else ""
    return f"{spoken} {half.upper()} M{stop}"


@rule(_START + r"(1[0-2]|0?[1-9])\s?([ap])\.?\s?m\b\.?", re.IGNORECASE)
def _hour(match: re.Match[str]) -> str:
    return _with_half(match, cardinal(str(int(match[1]))), match[2])


@rule(rf"(-?)({_CURRENCY})\s?({_NUMBER})(?:\s?(thousand|million|billion|trillion|[kK]|[mM]n?|[bB]n?)\b)?")
def _money(match: re.Match[str]) -> str:
    one, many, part_one, part_many = CURRENCIES[match[2]]
    amount = match[3].replace(",", "")
    minus = "minus " if match[1] else ""
    if match[4]:
        scale = SCALE_WORDS.get(match[4].lower(), match[4])
        return f"{minus}{number(amount)} {scale} {many}"
    whole, _, fraction = amount.partition(".")
    if not fraction or not part_one or len(fraction) > 2:
        return f"{minus}{number(amount)} {one if amount == '1' else many}"
    cents = int(fraction.ljust(2, "0"))
    parts = []
    if int(whole) or not cents:
        parts.append(f"{cardinal(whole)} {one if whole == '1' else many}")
    if cents:
        parts.append(f"{cardinal(str(cents))} {part_one if cents == 1 else part_many}")
    return minus + " and ".join(parts)


@rule(rf"(?:(?<!\w)([-+]))?{_START_DIGIT}({_NUMBER})\s?%?\s?(?:-|–|—|~|to)\s?({_NUMBER})\s?%")
def _percent_range(match: re.Match[str]) -> str:
    return f"{'minus ' * (match[1] == '-')}{number(match[2])} to {number(match[3])} percent"


@rule(rf"(?:(?<!\w)([-+]))?{_START_DIGIT}({_NUMBER})\s?%")
def _percent(match: re.Match[str]) -> str:
    sign = {"-": "minus ", "+": "plus ", None: ""}[match[1]]
    return f"{sign}{number(match[2])} percent"


@rule(r"(?<![\w.])(?:\+?(\d{1,3})(?:[-. ]|(?=\()))?\(?(\d{3})\)?[-. ](\d{3})[-. ](\d{4})(?!\d)")
def _telephone(match: re.Match[str]) -> str:
    country = f"{'plus ' * match[0].startswith('+')}{digits(match[1])}, " if match[1] else ""
    return country + ", ".join(digits(match[index]) for index in (2, 3, 4))


@rule(r"(?<![\w.+])\+(\d{1,3})((?:[-. ]\(?\d{1,5}\)?){2,5}|\d{7,12})(?![\d%]|[.,]\d)")
def _world_telephone(match: re.Match[str]) -> str | None:
    """+44 20 7946 0958: the country after a plus, and groups as they are written."""
    groups = re.findall(r"\d+", match[2])
    if len(match[1]) + sum(map(len, groups)) not in _TELEPHONE_DIGITS:
        return None
    if len(groups) == 1:
        return f"plus {digits(match[1] + match[2])}"  # where its groups end is not written
    return ", ".join([f"plus {digits(match[1])}", *map(digits, groups)])


@rule(r"(?<![\w.-])(\d{3})-(\d{4})(?![\d-])")
def _short_telephone(match: re.Match[str]) -> str:
    return f"{digits(match[1])}, {digits(match[2])}"


@rule(r"(?<![\d.])(\d+)\.(\d+)\.(\d+)(?:\.(\d+))?(?!\d)")
def _version(match: re.Match[str]) -> str:
    gap = " " if match.string[: match.start()][-1:].isalpha() else ""
    return gap + " point ".join(cardinal(group) for group in match.groups() if group)


@rule(r"(?<![\w./])9/11(?![\w/]|\.\d|\s+of\b)")
def _nine_eleven(_: re.Match[str]) -> str:
    return "nine eleven"


@rule(r"(?<![\w./,])(\d{1,3})\s+([1-9]\d?)/([2-9]|[1-9]\d)(?![\w/]|\.\d)")
def _mixed_number(match: re.Match[str]) -> str | None:
    """3 1/2 is three and a half."""
    if int(match[2]) >= int(match[3]):
        return None
    part = _fraction_words(match[2], match[3])
    article = match[2] == "1" and int(match[3]) in _FRACTIONS
    return f"{cardinal(match[1])} and {'a ' + part.split(maxsplit=1)[1] if article else part}"


@rule(r"(?<![\w./])([1-9]\d?)/([1-9]\d?)(?![\w/]|\.\d)")
def _fraction(match: re.Match[str]) -> str | None:
    top, bottom = int(match[1]), int(match[2])
    if bottom == 1 or top >= bottom:
        return f"{cardinal(match[1])} over {cardinal(match[2])}" if bottom == 1 else None
    return _fraction_words(match[1], match[2])


def _fraction_words(top: str, bottom: str) -> str:
    one, many = _FRACTIONS.get(int(bottom), (ordinal(bottom), ordinal(bottom) + "s"))
    return f"{cardinal(top)} {one if top == '1' else many}"


@rule(r"(?<![\w.])([1-9]\d?)/7\b")
def _week(match: re.Match[str]) -> str:
    return f"{cardinal(match[1])} seven"


@rule(r"(?<![\w.'])'?(\d{2}|\d{4})'?s\b")
def _decade(match: re.Match[str]) -> str | None:
    if len(match[1]) == 2:
        return plural(cardinal(match[1])) if match[1].endswith("0") else None
    return plural(year(match[1])) if _is_year(match[1]) else None


@rule(r"(?<![\w.])(\d{1,3}(?:,\d{3})*|\d+)(st|nd|rd|th)\b", re.IGNORECASE)
def _ordinal(match: re.Match[str]) -> str:
    return ordinal(match[1])


@rule(r"(?<![\w.])(\d{4})\s?[-–—]\s?(\d{4})(?![\d-])")
def _year_range(match: re.Match[str]) -> str | None:
    if _is_year(match[1]) and _is_year(match[2]):
        return f"{year(match[1])} to {year(match[2])}"
    return None


@rule(
    rf"(?:(?<![\w)])(-))?(?<![\w.])({_NUMBER})\s?[-–—~]\s?({_NUMBER})(?:\s?({_UNIT})(?![\w²]))?(?![\d-]|\.\d|\s?=)"
)
def _range(match: re.Match[str]) -> str | None:
    if len(match[2]) > 4 and "," not in match[2]:
        return None
    unit = f" {UNITS[match[4]][1]}" if match[4] else ""
    return f"{'minus ' * bool(match[1])}{number(match[2])} to {number(match[3])}{unit}"


@rule(rf"(?:(?<![\w)])(-))?(?<![\w.])({_NUMBER})[\s-]?({_UNIT})(?![\w²/])")
def _measure(match: re.Match[str]) -> str:
    return ("minus " if match[1] else "") + _quantity(match[2].replace(",", ""), UNITS[match[3]])


@rule(r"(?<![\w.,-])(\d{4})(?!\d|,\d|\.\d|-\d)")
def _year(match: re.Match[str]) -> str | None:
    if not _is_year(match[1]):
        return None
    before, after = match.string[max(0, match.start() - 16) : match.start()], match.string[match.end() :]
    if _COUNTED_AFTER.match(after):
        return None
    return year(match[1]) if _YEAR_CUES.search(before) or match[1] >= "1900" else None


@rule(r"(?:#|№|\b[Nn]o\.)\s?(?=\d)")
def _number_sign(_: re.Match[str]) -> str:
    return "number "


@rule(r"(?<=[A-Za-z])-?(\d+(?:\.\d+)?)(?!\d|\.\d|s\b)")
def _after_letters(match: re.Match[str]) -> str:
    """GPT-4, H264, Wan2GP: two digits at most are a number, longer strings are spelled, round ones excepted."""
    short = len(match[1]) <= 2 or "." in match[1] or (match[1].endswith("00") and len(match[1]) == 3)
    return f" {number(match[1]) if short else digits(match[1])} "


@rule(r"(?<![\d.])(\d{13,}|0\d+)(?![\d.,]\d|\d)")
def _long_string(match: re.Match[str]) -> str:
    return (
        f"{digits(match[1])} " if match.string[match.end() : match.end() + 1].isalpha() else digits(match[1])
    )


@rule(rf"(?:(?<![\w)])([-+]))?(?<![\d.])({_NUMBER})")
def _plain(match: re.Match[str]) -> str:
    sign = {"-": "minus ", "+": "plus ", None: ""}[match[1]]
    # "3D", "4K": the letters after a number are a word of their own.
    gap = " " if match.string[match.end() : match.end() + 1].isalpha() else ""
    return f"{sign}{number(match[2])}{gap}"


@rule(r"(?<![\w.])(\d{1,3}):(\d{1,3})(?![\d:])")
def _ratio(match: re.Match[str]) -> str:
    return f"{cardinal(match[1])} to {cardinal(match[2])}"


@rule(r"\b([A-Za-z]\.){2,}(?!\w)")
def _initials(match: re.Match[str]) -> str:
    """U.S. and Ph.D.-like letters: spelled as one abbreviation; a stop that also ends the sentence stays."""
    stop = "" if match.string[match.end() :].strip() else "."
    return match[0].replace(".", "").upper() + stop


@rule(r"(?<=[A-Za-z])\+\+")
def _plus_plus(_: re.Match[str]) -> str:
    return " plus plus"


@rule(r"(?<=\b[CF])#")
def _sharp(_: re.Match[str]) -> str:
    return " sharp"


@rule(
    r"(?:(?<=[\d)²³⁰¹⁴-⁹π!%°])|(?<=\b[A-Za-z])|(?<=\b[a-z]{2})(?<!\bis)(?<!\bto))\s?([+=×÷<>≈≠≤≥±])\s?(?=[\w(√π-])"
)
def _operator(match: re.Match[str]) -> str:
    names = {
        "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "<": "is less than", ">": "is greater than",
        "≈": "is about", "≠": "is not equal to", "≤": "is at most", "≥": "is at least", "±": "plus or minus",
    }  # fmt: skip
    return f" {names[match[1]]} "


@rule(
    r"(?<=\d)\s?-\s?(?=\d+\s?=)|(?<=\b[a-z])\s?-\s?(?=[\da-z]{1,2}\s?[=+×])|(?<=[\d)²³])\s-\s(?=[\da-z]{1,3}\s?[=+×])"
)
def _minus(_: re.Match[str]) -> str:
    return " minus "


@rule(
    r"\b("
    + "|".join(re.escape(word) for word in sorted(ABBREVIATIONS, key=len, reverse=True))
    + r")\.(?!\w)",
    re.I,
)
def _abbreviation(match: re.Match[str]) -> str:
    stop = "" if match.string[match.end() :].strip() else "."
    return ABBREVIATIONS[match[1].lower()] + stop


@rule(r"\bSt\.(?=\s+[A-Z])")
def _saint(_: re.Match[str]) -> str:
    return "saint"


@rule(r"\bSt\.(?!\w)")
def _street(_: re.Match[str]) -> str:
    return "street"


@rule(r"\s?&\s?")
def _and(_: re.Match[str]) -> str:
    return " and "


@rule(r"(?<=\w)\s?@\s?(?=\w)|@(?=\w)")
def _at(_: re.Match[str]) -> str:
    return " at "


@rule(r"[#/~<>=+]")
def _silent(_: re.Match[str]) -> str:
    return " "


RULES: tuple[Rule, ...] = (
    markup.TAG, addresses.email("at", "dot"), addresses.url("dot", "slash"), *strings_en.FIRST,
    _iso_date, _us_date, _month_day, _day_month, _short_month, _until, _clock, _hour, _feet_and_inches, _ratio, _money, _percent_range, _percent,
    _telephone, _world_telephone, _short_telephone, _version, _week, _nine_eleven, _mixed_number, _fraction, _decade, _ordinal, _year_range, _minus, _range,
    _measure, _year, _number_sign, _after_letters, _long_string, _plain, _plus_plus, _sharp, _operator, _abbreviation, _initials, _saint, _street,
    *strings_en.LAST, _and, _at, _silent,
)  # fmt: skip


def normalise(text: str, fixed: Fixed | None = None) -> Aligned:
    """English reading of a cleaned sentence."""
    return apply_rules(text, RULES, fixed)
