"""Chinese written forms -> what is said. Runs in the speech worker.

Flow: cleaned text -> rules, most specific first -> `Aligned` text in Han characters, Latin letters and marks.
Readings follow GB/T 15835-2011 and everyday newsreading.
"""

from __future__ import annotations

import re

from workers.speech.text import addresses, formulas_zh, strings_zh
from workers.speech.text.aligned import Aligned
from workers.speech.text.names_zh import CURRENCIES, MEASURES, UNITS
from workers.speech.text.numbers_en import cardinal as english_cardinal
from workers.speech.text.numbers_zh import cardinal, counted, digits, number, year
from workers.speech.text.rules import Fixed, Rule, apply_rules, rule
from workers.speech.text.zh_traditional import simplified

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_RANGE = r"\s?(?:-|~|～|—|–|至|到)\s?"
_NOT_IN_NUMBER = r"(?<![\d.])"
_NOT_IN_WORD = r"(?<![\dA-Za-z.])"

_UNIT = "|".join(re.escape(sign) for sign in sorted(UNITS, key=len, reverse=True))
_CURRENCY = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_MEASURE_NEXT = re.compile(rf"\s?(?:{MEASURES})")
# Where these follow, 2 is a name or an ordinal and stays 二.
_ORDINAL_AFTER = "月|号|日|号楼|楼|中|班|年级|级|环|线|路|期|次方"


# $1.5M: powers of ten.
_POWERS = {"k": 3, "K": 3, "M": 6, "B": 9}


def _trim_money(text: str) -> str:
    """12.50 -> 12.5, 12.00 -> 12: money has no spoken trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text


@rule(_NOT_IN_NUMBER + r"(\d{4})[-/.](0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])(?!\d|[-/.]\d)")
def _iso_date(match: re.Match[str]) -> str:
    return f"{year(match[1])}年{cardinal(match[2].lstrip('0'))}月{cardinal(match[3].lstrip('0'))}日"


_YEARLY = r"(?:年(?!级|前|后|来)|学年|年度|财年|赛季)"


@rule(_NOT_IN_NUMBER + r"([12]\d{3})" + _RANGE + r"([12]\d{3})\s?(?=" + _YEARLY + ")")
def _year_range(match: re.Match[str]) -> str:
    return f"{year(match[1])}到{year(match[2])}"


@rule(_NOT_IN_NUMBER + r"(\d{4})\s?年(?!以前|之久|来|历史|内)")
def _four_digit_year(match: re.Match[str]) -> str | None:
    return f"{year(match[1])}年" if "1000" <= match[1] <= "2999" else None


@rule(_NOT_IN_NUMBER + r"((?:19|20)\d{2})\s?(?=学年|年度|财年|赛季|款|届|Q[1-4]|世界杯|奥运|亚运|冬奥)")
def _season(match: re.Match[str]) -> str:
    return year(match[1])


@rule(r"(?<![\d.第])([05-9][05]|10)(?=后(?![面天来期续退方者半排勤卫台腿果悔]))")
def _generation(match: re.Match[str]) -> str:
    """90后: those born in the nineties."""
    return digits(match[1])


@rule(_NOT_IN_NUMBER + r"(\d{2})\s?年(?=\s?\d{1,2}\s?月)")
def _two_digit_year(match: re.Match[str]) -> str:
    return f"{year(match[1])}年"


@rule(_NOT_IN_NUMBER + r"(\d{2,4})\s?年代")
def _decade(match: re.Match[str]) -> str:
    return f"{cardinal(match[1])}年代" if len(match[1]) == 2 else f"{year(match[1])}年代"


@rule(_NOT_IN_NUMBER + r"(\d+(?:\.\d+)?)\s?[:：]\s?(\d+\.\d+)(?![\d:：])")
def _decimal_ratio(match: re.Match[str]) -> str:
    return f"{number(match[1])}比{number(match[2])}"


@rule(r"(?<![A-Za-z])N[oO]\.\s?(\d{1,3})(?![\d.])")
def _rank(match: re.Match[str]) -> str:
    return f"第{cardinal(match[1])}"


_TIME = r"([01]?\d|2[0-4])[:：]([0-5]\d)(?![\d:：]|\.\d)"


@rule(_NOT_IN_NUMBER + _TIME + r"\s?(?:-|~|–|—{1,2}|至|到)\s?" + _TIME)
def _clock_range(match: re.Match[str]) -> str:
    """8:00-9:30 as people say it: 八点到九点半."""
    return f"{_short_time(match[1], match[2])}到{_short_time(match[3], match[4])}"


def _short_time(hour: str, minute: str) -> str:
    spoken = counted(hour.lstrip("0") or "0") + "点"
    if minute in ("00", "30"):
        return spoken + ("半" if minute == "30" else "")
    return spoken + ("零" if minute[0] == "0" else "") + cardinal(minute.lstrip("0")) + "分"


@rule(_NOT_IN_NUMBER + r"([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?![\d:：]|\.\d)")
def _clock(match: re.Match[str]) -> str:
    hour, minute, second = match[1].lstrip("0") or "0", match[2], match[3]
    spoken = counted(hour) + "点"
    if minute == "00" and second is None:
        return spoken + "整"
    spoken += (
        ("零" if minute[0] == "0" else "") + (cardinal(minute.lstrip("0")) if minute != "00" else "") + "分"
    )
    if second is not None:
        spoken += ("零" if second[0] == "0" else "") + (
            cardinal(second.lstrip("0")) if second != "00" else ""
        )
        spoken += "秒"
    return spoken


@rule(rf"(?:(?<=[^\w%])|(?<![\d%]))(-?)({_NUMBER})(%?){_RANGE}({_NUMBER})([%‰])")
def _percent_range(match: re.Match[str]) -> str:
    base = "百分之" if match[5] == "%" else "千分之"
    first = "负" * bool(match[1]) + number(match[2].replace(",", ""))
    return f"{base}{first}到{base}{number(match[4].replace(',', ''))}"


@rule(rf"(?:(?<![\dA-Za-z)）%])([-+]))?(?<![\d.])({_NUMBER})\s?([%‰])")
def _percent(match: re.Match[str]) -> str:
    sign = {"-": "负", "+": "正", None: ""}[match[1]]
    return sign + ("百分之" if match[3] == "%" else "千分之") + number(match[2].replace(",", ""))


@rule(
    rf"(?<![A-Za-z])({_CURRENCY})\s?(-?)({_NUMBER})\s?(万亿|亿|千万|百万|万|千|[kKMB](?![A-Za-z\d]))?(?:\s?元(?!宝))?"
)
def _money(match: re.Match[str]) -> str:
    amount = _trim_money(match[3].replace(",", ""))
    if match[4] and match[4] in _POWERS:
        return "负" * bool(match[2]) + strings_zh.times(amount, _POWERS[match[4]]) + CURRENCIES[match[1]]
    spoken = counted(amount) + (match[4] or "")
    return "负" * bool(match[2]) + spoken + CURRENCIES[match[1]]


@rule(rf"{_NOT_IN_NUMBER}(\d+(?:,\d{{3}})*\.\d+)\s?(?=元|块|美元|欧元|英镑)")
def _money_behind(match: re.Match[str]) -> str:
    return counted(_trim_money(match[1].replace(",", "")))


@rule(r"(?<![\d./])([1-9]\d{0,2})/([1-9]\d{0,2})(?![\d/]|\.\d)")
def _fraction(match: re.Match[str]) -> str | None:
    if int(match[1]) > int(match[2]) > 10:
        return None  # 血压120/80: two values, not a fraction
    if int(match[1]) > int(match[2]):
        return None  # 24/7
    return f"{cardinal(match[2])}分之{cardinal(match[1])}"


_RESULT = "获胜|战胜|击败|险胜|取胜|不敌|负于|落后|领先|战平|大胜|完胜|惜败|告负|落败|逆转|淘汰|力克|横扫"


@rule(rf"(?<![\d.])(\d{{1,3}})\s?[-–—]\s?(\d{{1,3}})(?=\s?(?:的比分|的成绩)?(?:{_RESULT}))")
def _result(match: re.Match[str]) -> str:
    """21-19获胜: a score, not a range."""
    return f"{cardinal(match[1])}比{cardinal(match[2])}"


@rule(r"(?<=比分|总分|战绩)(是|为|：|:)?(\d{1,3})\s?[-–—]\s?(\d{1,3})(?!\d)")
def _cued_result(match: re.Match[str]) -> str:
    return f"{match[1] or ''}{cardinal(match[2])}比{cardinal(match[3])}"


@rule(r"(?<![\d.])(\d{1,3})[:：](\d{1,7})(?![\d:：])")
def _score(match: re.Match[str]) -> str:
    return f"{cardinal(match[1].lstrip('0') or '0')}比{cardinal(match[2].lstrip('0') or '0')}"


@rule(r"(?<![\d.])(\d+)\.(\d+)\.(\d+)(?:\.(\d+))?(?![\d])")
def _version(match: re.Match[str]) -> str:
    return "点".join(
        digits(group) if len(group) > 2 else cardinal(group) for group in match.groups() if group
    )


@rule(rf"{_NOT_IN_WORD}(-?)({_NUMBER}){_RANGE}({_NUMBER})\s?({_UNIT})?(?![A-Za-z\d]|\.\d|\s?=)")
def _range(match: re.Match[str]) -> str | None:
    if "-" in match[0][1:] and len(match[2]) > 4:
        return None  # long strings joined by a hyphen are numbers of things, not quantities
    unit = UNITS[match[4]] if match[4] else ""
    measured = unit or _MEASURE_NEXT.match(match.string, match.end())
    say = counted if measured else number
    first = "负" * bool(match[1]) + say(match[2].replace(",", ""))
    return f"{first}到{say(match[3].replace(',', ''))}{unit}"


@rule(
    rf"(?:(?<![\dA-Za-z)）%])(-))?(?<![\d.A-Za-z])({_NUMBER})\s?({_UNIT})(?:/(100)?({_UNIT}))?(?![A-Za-z\d²³])"
)
def _measure(match: re.Match[str]) -> str:
    unit = UNITS[match[3]] + (f"每{'百' * bool(match[4])}{UNITS[match[5]]}" if match[5] else "")
    quantity = counted(match[2].replace(",", ""))
    if match[1]:
        return ("零下" if unit.endswith("摄氏度") else "负") + quantity + unit
    return quantity + unit


@rule(rf"{_NOT_IN_WORD}(\d+)\s?h\s?(\d+)\s?(?:min|m)(?:\s?(\d+)\s?s)?(?![A-Za-z\d])")
def _hours(match: re.Match[str]) -> str:
    """3h20min."""
    seconds = f"{counted(match[3])}秒" if match[3] else ""
    return f"{counted(match[1])}小时{counted(match[2])}分钟{seconds}"


@rule(r"(?<=第)(\d+)\s?[-~～—–至到]\s?(\d+)")
def _ordinal_range(match: re.Match[str]) -> str:
    return f"{_ordinal_number(match[1])}到{_ordinal_number(match[2])}"


@rule(r"(?<=第)(\d+)")
def _ordinal(match: re.Match[str]) -> str:
    return _ordinal_number(match[1])


def _ordinal_number(text: str) -> str:
    """Ordinals keep 二: 第2 is 第二, and 第2000 is 第二千."""
    spoken = cardinal(text)
    return "二" + spoken[1:] if spoken.startswith("两") else spoken


@rule(rf"{_NOT_IN_NUMBER}(\d{{1,2}})(?=\s?(?:{_ORDINAL_AFTER}))")
def _calendar(match: re.Match[str]) -> str:
    return _ordinal_number(match[1].lstrip("0") or "0")


@rule(rf"{_NOT_IN_WORD}(-?)({_NUMBER})(?=\s?[多余几来]?(?:{MEASURES}))")
def _counted(match: re.Match[str]) -> str:
    negative = bool(match[1]) and not re.search(
        r"\w(?<![和与是为到至于比约得从在])\Z", match.string[: match.start()]
    )
    return "负" * negative + counted(match[2].replace(",", ""))


@rule(r"(?<=[A-Za-z])[- ]?(\d+(?:\.\d+)?)(?![A-Za-z\d]|\.\d)")
def _after_letters(match: re.Match[str]) -> str:
    """Windows 11, GPT-4, H264, RTX 4090: long strings digit by digit, short ones as numbers."""
    return " " + (digits(match[1]) if len(match[1]) > 3 and "." not in match[1] else number(match[1]))


@rule(r"(?<=[A-Za-z])(\d{1,2})(?=[A-Za-z])")
def _between_letters(match: re.Match[str]) -> str:
    """Wan2GP: a digit inside a Latin name belongs to that name and is read with it."""
    return f" {english_cardinal(match[1])} "


@rule(r"(?<![\d.])(1[0-2]|0?[1-9])\.(3[01]|[12]\d|0?[1-9])(?=日(?!元))")
def _dotted_day(match: re.Match[str]) -> str:
    """11.23日."""
    return f"{cardinal(match[1].lstrip('0'))}月{cardinal(match[2].lstrip('0'))}"


@rule(r"(?<=长|时)(是|为|约|：|:|\s)?(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\d:])")
def _duration(match: re.Match[str]) -> str | None:
    """时长3:05:20: how long, not when."""
    if not re.search(r"(?:时长|用时|耗时|历时|片长|全长|总长)\Z", match.string[: match.start()]):
        return None
    names = ("小时", "分", "秒") if match[4] else ("分", "秒")
    parts = [part for part in match.groups()[1:] if part]
    spoken = "".join(
        ("零" if place and part[0] == "0" and part != "00" else "") + counted(part.lstrip("0") or "0") + name
        for place, (part, name) in enumerate(zip(parts, names, strict=True))
        if part.strip("0")
    )
    return (match[1] or "") + spoken if spoken else None


@rule(r"(?<![A-Za-z\d)）%])\+(?=\d)")
def _plus(match: re.Match[str]) -> str:
    """+5 beside a negative number is its opposite, else something that is added."""
    return "正" if re.search(r"(?<![A-Za-z\d)）])-\d", match.string) else "加"


@rule(rf"(?:(?:(?<![\w)）])|(?<=[和与是为到至于比约得从在]))(-))?(?<![\d.])({_NUMBER})")
def _plain(match: re.Match[str]) -> str:
    return "负" * bool(match[1]) + number(match[2].replace(",", ""))


@rule(r"[&＆]")
def _and(_: re.Match[str]) -> str:
    return "和"


@rule(r"(?<![\w%])~\s?(?=\d)")
def _about(_: re.Match[str]) -> str:
    return "约"


@rule(r"(?<=[日号月年点分])\s?[-~～—–]\s?(?=\d)|(?<=周[一二三四五六日天])\s?[-~～—–]\s?(?=周)")
def _from_to(_: re.Match[str]) -> str:
    """11月22日-25日, 周一-周五."""
    return "到"


@rule(r"(?:(?<=:\d\d)\s?[-~]\s?(?=\d{1,2}:\d\d)|(?<=[\w℃°%])\s?~\s?(?=[-\d]))")
def _until(_: re.Match[str]) -> str:
    """14:30-16:00 and -10℃~5℃: ranges of things that the rules above have read one by one."""
    return "到"


@rule(r"(?<=[A-Za-z])\+\+")
def _plus_plus(_: re.Match[str]) -> str:
    return "加加"


@rule(
    r"(?<=[元块斤个人次天年月克米升时万件条字位])/(?=[斤个人次天年月克米升件条只台小公千分秒时场节课晚间盒瓶袋箱份位套期平篇])"
)
def _per(_: re.Match[str]) -> str:
    return "每"


@rule(r"[#@/~]")
def _silent(_: re.Match[str]) -> str:
    return " "


RULES: tuple[Rule, ...] = (
    addresses.email("艾特", "点"), addresses.url("点", "杠"), *strings_zh.FIRST, *formulas_zh.FIRST,
    _iso_date, _year_range, _four_digit_year, _season, _two_digit_year, _generation, _decade, _decimal_ratio, _rank, _dotted_day, _duration, _clock_range, _clock, _percent_range, _percent,
    _money, _money_behind, *strings_zh.TELEPHONES, _version, _fraction, _result, _cued_result, _score, formulas_zh.MINUS, _range, _hours, _measure,
    _ordinal_range, _ordinal, *strings_zh.ROOMS, _calendar, _between_letters, _counted, _after_letters, *strings_zh.LONG, _plus, _plain,
    _plus_plus, *formulas_zh.SIGNS, _from_to, _until, _about, _and, _per, _silent,
)  # fmt: skip


def normalise(text: str, fixed: Fixed | None = None) -> Aligned:
    """Chinese reading of a cleaned sentence. The rules see simplified characters; those written stay."""
    plain = simplified(text)
    spoken = apply_rules(plain, RULES, fixed)
    if plain == text:
        return spoken
    kept = (
        text[start] if end == start + 1 and character == plain[start] else character
        for character, (start, end) in zip(spoken.text, spoken.spans, strict=True)
    )
    return Aligned("".join(kept), spoken.spans)
