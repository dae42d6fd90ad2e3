"""Digits that are a string in English, numerals of kings and chapters, formulas. Runs in the speech worker.

Flow: cleaned text -> rules that `normalise_en` puts among its own. Source: The Chicago Manual of Style, chapter 9,
and the habits of radio.
"""

from __future__ import annotations

import re

from workers.speech.text import roman
from workers.speech.text.names_en import MONARCHS, NUMBERED, SHORTENED, SPELLED_AFTER
from workers.speech.text.numbers_en import cardinal, digits, number, ordinal
from workers.speech.text.rules import Rule, rule

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "Δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda",
    "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "Σ": "sigma", "τ": "tau", "φ": "phi", "ω": "omega", "Ω": "omega",
}  # fmt: skip


@rule(r"(?<![\w-])(\d{3})-(\d{2})-(\d{4})(?![\w-])")
def _social_security(match: re.Match[str]) -> str:
    return ", ".join(digits(group) for group in match.groups())


_CODE = re.compile(
    rf"\b(?:{SPELLED_AFTER})(?:\s(?:number|code|no\.?))?(?:\s(?:is|was|to|at|on))?\s?[:#]?\s?\Z",
    re.IGNORECASE,
)


@rule(r"(?<![\w.,-])(\d{3,16})(?![\w]|[.,:/]\d|-\d|%|\s?(?:times|people|dollars|percent))")
def _code(match: re.Match[str]) -> str | None:
    """Call 911, ZIP code 90210."""
    return (
        digits(match[1]) if _CODE.search(match.string[max(0, match.start() - 30) : match.start()]) else None
    )


@rule(
    r"\b(Boeing|Flight|flight|Route|Highway|Interstate|Airbus|Area|Room|room|Suite)\s(\d)(\d)(\d)(?!\d|[.,:]\d)"
)
def _model(match: re.Match[str]) -> str:
    """Boeing 747, Room 305: the hundreds, then the rest."""
    tens = int(match[3] + match[4])
    rest = "hundred" if not tens else f"oh {cardinal(match[4])}" if tens < 10 else cardinal(str(tens))
    return f"{match[1]} {cardinal(match[2])} {rest}"


@rule(rf"\b({MONARCHS})\s([IVXL]+)(?![\w.]\w)\b")
def _monarch(match: re.Match[str]) -> str | None:
    value = roman.cued_value(match[2])
    if value is None or (match[2] == "I" and re.match(r"\s[a-z]", match.string[match.end() :]) is None):
        return None
    return f"{match[1]} the {ordinal(str(value))}"


@rule(rf"\b({NUMBERED})\s([IVXL]+)\b(?!')")
def _numbered(match: re.Match[str]) -> str | None:
    value = roman.cued_value(match[2])
    return f"{match[1]} {cardinal(str(value))}" if value else None


@rule(r"(?<=[A-Z][a-z])([a-z]*)\s([IVX]{2,5})(?![\w'])")
def _sequel(match: re.Match[str]) -> str | None:
    """Rocky III: a capitalised name and a numeral."""
    value = roman.value(match[2])
    return f"{match[1]} {cardinal(str(value))}" if value else None


@rule(r"([Ⅰ-Ⅻⅰ-ⅻ])")
def _sign(match: re.Match[str]) -> str:
    return cardinal(str(roman.SINGLE[match[1]]))


@rule(r"(?<![\w.])(\d{1,2})\s?(?:ft|feet|foot)\.?\s(\d{1,2})\s?(?:in|inches)\b\.?")
def _feet_inches(match: re.Match[str]) -> str:
    return f"{cardinal(match[1])} feet {cardinal(match[2])} {'inch' if match[2] == '1' else 'inches'}"


@rule(r"(?<![\w.])(\d+(?:\.\d+)?)\s?¢")
def _cents(match: re.Match[str]) -> str:
    return f"{number(match[1])} {'cent' if match[1] == '1' else 'cents'}"


@rule(
    r"(?<!\w)([$€£])(\d[\d,]*(?:\.\d+)?)\s?[-–—]\s?\1?(\d[\d,]*(?:\.\d+)?)(?!\d|%)(?:\s?(million|billion|thousand)\b|([kKmMbB])\b)?"
)
def _money_range(match: re.Match[str]) -> str:
    unit = {"$": "dollars", "€": "euros", "£": "pounds"}[match[1]]
    scale = match[4] or {"k": "thousand", "m": "million", "b": "billion"}.get((match[5] or "").lower(), "")
    return f"{number(match[2])} to {number(match[3])} {f'{scale} ' * bool(scale)}{unit}"


@rule(r"(?<=[\da-zA-Z)])(?:([⁰¹²³⁴-⁹]+)|\^\(?(-?\d+)\)?)")
def _power(match: re.Match[str]) -> str:
    power = (match[1] or match[2]).translate(_RAISED)
    named = {"2": " squared", "3": " cubed"}.get(power)
    return named or f" to the power of {'minus ' * power.startswith('-')}{cardinal(power.lstrip('-'))}"


@rule(r"√\s?(?=[\dA-Za-z(])")
def _root(_: re.Match[str]) -> str:
    return " the square root of "


@rule(rf"[{''.join(_GREEK)}]")
def _greek(match: re.Match[str]) -> str:
    return f" {_GREEK[match[0]]} "


@rule(r"(?<![\w%])~\s?(?=[$€£]?\d)")
def _about(_: re.Match[str]) -> str:
    return "about "


@rule(r"(?<=[\d)²])\s?[*]\s?(?=[\d(])")
def _times(_: re.Match[str]) -> str:
    return " times "


@rule(r"(?<=[a-z] )Dr\.(?=\s*(?:[a-z,]|$))|(?<=[a-z] )Dr(?=\s*(?:[,.;]|$))")
def _drive(match: re.Match[str]) -> str | None:
    if not re.search(r"[A-Z\d][\w'-]*\s\Z", match.string[: match.start()]):
        return None
    return "drive" + "." * (not match.string[match.end() :].strip())


@rule(rf"\b({'|'.join(sorted(map(re.escape, SHORTENED), key=len, reverse=True))})\.?\s(?=[A-Z\d])")
def _before_name(match: re.Match[str]) -> str:
    """Mt. Everest, Ft. Worth, Apt. 4."""
    return f"{SHORTENED[match[1]]} "


@rule(r"\bw/o\b|\bw/(?=\s)")
def _with(match: re.Match[str]) -> str:
    return "without" if match[0] == "w/o" else "with"


@rule(r"\bpp?\.\s?(?=\d)")
def _page(match: re.Match[str]) -> str:
    return "pages " if match[0].startswith("pp") else "page "


@rule(
    r"(?<![\w.])(\d+(?:\.\d+)?)x(?=\s(?:the|as|more|less|faster|slower|better|bigger|smaller|higher|longer|cheaper)\b)"
)
def _fold(match: re.Match[str]) -> str:
    """10x the speed."""
    return f"{number(match[1])} times"


@rule(r"(?<![\w.])(\d{2,5})\s?[x×]\s?(\d{2,5})(?!\w|\.\d|\s?[=x×])")
def _resolution(match: re.Match[str]) -> str:
    """1920x1080."""
    return " by ".join(_in_pairs(side) for side in match.groups())


def _in_pairs(side: str) -> str:
    """1920 is nineteen twenty; what ends in 00 or begins a pair with 0 is a plain number."""
    if len(side) != 4 or side[2] == "0":
        return cardinal(side)
    return f"{cardinal(side[:2])} {cardinal(side[2:])}"


@rule(r"(?<=\d)\s?x\s?(?=\d+(?:\.\d+)?\s?=)")
def _product(_: re.Match[str]) -> str:
    """2 x 3 = 6."""
    return " times "


@rule(r"(?<![\w/])(\d\.\d)/(5|10)(?![\w/]|\.\d)")
def _rating(match: re.Match[str]) -> str:
    """4.5/5."""
    return f"{number(match[1])} out of {cardinal(match[2])}"


_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thurs": "Thursday",
    "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_DAY = "|".join(sorted(_DAYS, key=len, reverse=True))


@rule(rf"\b({_DAY})\.?\s?[-–—]\s?({_DAY})\b\.?(?=\W|\Z)")
def _week_days(match: re.Match[str]) -> str:
    """Mon-Fri."""
    stop = "." if match[0].endswith(".") and not match.string[match.end() :].strip() else ""
    return f"{_DAYS[match[1]]} to {_DAYS[match[2]]}{stop}"


FIRST: tuple[Rule, ...] = (
    _social_security, _code, _model, _monarch, _numbered, _sequel, _sign, _feet_inches, _cents, _money_range, _root, _about, _times,
    _fold, _resolution, _product, _rating, _week_days, _drive, _before_name, _with, _page,
)  # fmt: skip
LAST: tuple[Rule, ...] = (_power, _greek)
