"""Digits that are a string in Chinese: telephones, codes, rooms, models. Runs in the speech worker.

Flow: cleaned text -> rules that `normalise_zh` puts among its own. Source: GB/T 15835-2011 (numbers that name),
幺 for one where numbers are dialled.
"""

from __future__ import annotations

import re

from workers.speech.text import roman
from workers.speech.text.names_zh import CODES, DIGIT_NAMES, MEASURES, MODELS
from workers.speech.text.numbers_zh import cardinal, counted, digits
from workers.speech.text.rules import Rule, rule

_NOT_IN_WORD = r"(?<![\dA-Za-z.])"
_MEASURE_NEXT = re.compile(rf"\s?(?:{MEASURES})")
_TELEPHONE_CUES = r"(?:电话|热线|拨打|致电|报警|手机号?|客服|传真|拨|呼叫)"
# Dialled in three digits by everybody in China: police, fire, ambulance, traffic, directory, weather, time.
_SHORT_NUMBERS = frozenset(
    ["110", "119", "120", "122", "114", "121", "117", "999", "911", "112", "113", "118"]
)
_CODE_MARKS = {"-": "杠", "_": "下划线"}
_MAX_CODE = 40
_SERVICES = (
    "市民|政务|便民|服务|客服|消费者|消费|投诉|举报|咨询|维权|医疗|急救|报警|火警|法律|援助|心理|全国|统一"
)
_CODE_BEFORE = re.compile(
    rf"(?:{CODES})(?:号码|号)?[是为:： ]{{0,3}}(?:[\u4e00-\u9fff][A-Z]|[A-Z]{{1,2}}|\s)?\Z"
)
# 京A12345: the plate of a car.
_PLATE_BEFORE = re.compile(r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·•\s-]?\Z")
_MODEL_BEFORE = re.compile(rf"(?:{MODELS})[-\s]?\Z")
_HOUSE_BEFORE = re.compile(r"(?:单元|[栋幢座楼]|号楼|门|弄|期)\Z")
# Read as names of times and schools wherever they stand.
_KNOWN = frozenset(
    {"996", "985", "007", "10086", "10010", "10000", "12306", "12315", "12345", "95588", "95533"}
)


@rule(r"(?<![\d.A-Za-z])(\d{3,20})(?![\d%℃]|[.:：,]\d|[-~/×]\d)")
def _code(match: re.Match[str]) -> str | None:
    """验证码384756, 京A12345, 波音747, 2单元501, 985高校."""
    before = match.string[max(0, match.start() - 16) : match.start()]
    if _CODE_BEFORE.search(before) or _MODEL_BEFORE.search(before):
        return digits(match[1])
    if len(match[1]) <= 4 and _HOUSE_BEFORE.search(before):
        return digits(match[1]) if not _MEASURE_NEXT.match(match.string, match.end()) else None
    if len(match[1]) == 3 and re.match(rf"\s?(?:{DIGIT_NAMES})", match.string[match.end() : match.end() + 4]):
        return digits(match[1])
    if match[1] in _KNOWN and len(match[1]) == 3 and not _MEASURE_NEXT.match(match.string, match.end()):
        return digits(match[1])
    return None


@rule(
    r"(?<![\dA-Za-z.@/-])(?=[A-Za-z_-]*\d)(?=[\d]*[A-Za-z_-])([A-Za-z\d]+(?:[-_][A-Za-z\d]+){0,5})(?![\dA-Za-z]|[-.@/][A-Za-z\d])"
)
def _mixed_code(match: re.Match[str]) -> str | None:
    """密码是a1b2c3, 订单号20261123-0001: letters by name, digits one by one."""
    if not _CODE_BEFORE.search(match.string[max(0, match.start() - 16) : match.start()]):
        return None
    if len(match[1]) > _MAX_CODE or (match[1].isalnum() and len(match[1]) < 4):
        return None
    return "".join(
        digits(one) if one.isdecimal() else _CODE_MARKS.get(one) or f" {one.upper()} " for one in match[1]
    )


@rule(r"(?<=\d转)(\d{2,6})(?!\d)")
def _extension(match: re.Match[str]) -> str:
    """6278-1234转8001."""
    return digits(match[1], telephone=True)


@rule(
    r"(?<![\d.A-Za-z])(?:(360)(?=浏览器|安全|杀毒|搜索|卫士|手机|公司|集团)|(58)(?=同城)|(4399)|(999)(?=感冒|皮炎|胃泰)|(1688|2345)(?=网|平台|上|店|商城)|(163|126|139|189)(?=邮箱))(?!\d)"
)
def _brand(match: re.Match[str]) -> str:
    """Names of companies that are digits."""
    return digits(match[0])


@rule(r"(?<![A-Za-z\d])([BCDGOP])2([BCGOP])(?![A-Za-z\d])")
def _to(match: re.Match[str]) -> str:
    """B2B, O2O."""
    return f" {match[1]} to {match[2]} "


@rule(r"(?<![\d./])24/7(?![\d./])")
def _always(_: re.Match[str]) -> str:
    return "七天二十四小时"


def times(amount: str, power: int) -> str:
    """`amount` ("1.5") times a power of ten, as a quantity: 1.5 and 4 are 一万五千."""
    whole, _, fraction = amount.partition(".")
    return (
        counted((whole + fraction.ljust(power, "0")[:power]).lstrip("0") or "0")
        if len(fraction) <= power
        else amount
    )


@rule(
    r"(?<![\d.A-Za-z])(\d{1,5}(?:\.\d{1,2})?)(w)(?![A-Za-z\d])|(?<![\d.A-Za-z])(\d{1,4}(?:\.\d{1,2})?)(k)(?=\+|\s?[粉人块元赞播评步字多]|[，。！？,;；]|\Z)(?<!(?<![\d.])[248]k)"
)
def _short_power(match: re.Match[str]) -> str:
    """10w播放, 2.5k粉丝."""
    return times(match[1], 4) if match[2] else times(match[3], 3)


@rule(r"(?<=[A-Z])[·•\s-]?([\dA-Z]{5,6})(?![\dA-Za-z])")
def _plate(match: re.Match[str]) -> str | None:
    if not _PLATE_BEFORE.search(match.string[max(0, match.start() - 3) : match.start(1)]):
        return None
    return "".join(digits(letter) if letter.isdecimal() else f" {letter} " for letter in match[1])


@rule(r"(?<![\dA-Za-z])(\d{17})([Xx])(?![\dA-Za-z])")
def _identity(match: re.Match[str]) -> str:
    """A citizen's number that ends in X."""
    return digits(match[1]) + " X"


_KINDS = "章|节|阶段|期|卷|部|类|级|型|册|编|篇|幕|季|代|届|度|集团|区"
# Characters that end names written by sound, as those of kings do.
_NAME_END = "易治玛丽白莎斯特尔德森利克伯西奥约安宗拿翁"


@rule(r"([Ⅰ-Ⅻⅰ-ⅻ])")
def _roman_sign(match: re.Match[str]) -> str:
    return cardinal(str(roman.SINGLE[match[1]]))


@rule(
    rf"(?<=第)([IVX]+)(?=[\u4e00-\u9fff])|(?<![A-Za-z])([IVX]+)(?=(?:{_KINDS}))|(?<=[{_NAME_END}])\s?([IVX]{{2,}})(?![A-Za-z\d])"
)
def _roman(match: re.Match[str]) -> str | None:
    number = roman.cued_value(match[1] or match[2] or match[3])
    return cardinal(str(number)) if number else None


@rule(r"(?<![\d.])(?:\+?86[- ]?)?(1[3-9]\d)([- ]?)(\d{4})\2(\d{4})(?!\d)")
def _mobile(match: re.Match[str]) -> str:
    groups = [digits(match[index], telephone=True) for index in (1, 3, 4)]
    return "，".join(groups) if match[2] else "".join(groups)


@rule(r"(?<![\d.])[(（]?(0\d{1,3}|[48]00)[-)） ]\s?(\d{3,4})[- ]?(\d{4})(?!\d)")
def _landline(match: re.Match[str]) -> str:
    return "，".join(digits(group, telephone=True) for group in match.groups())


@rule(
    rf"(?<=[话线打电警机号服真拨叫给到是:：为 ])(?<![\d.])(\d{{3,8}})(?!\d|\.\d|,\d|\s?[{'个元万亿千年月日人次%'}])"
)
def _hotline(match: re.Match[str]) -> str | None:
    before = match.string[max(0, match.start() - 8) : match.start()]
    cue = re.search(_TELEPHONE_CUES + r"(?:[号码是为:： ]*|[给到])\Z", before)
    if cue or (before.rstrip().endswith("打") and _is_short_number(match)):
        return digits(match[1], telephone=True)
    return None


def _is_short_number(match: re.Match[str]) -> bool:
    """Whether what follows 打 is dialled: 打110 and 打10086 are, 打100分 and 打500下 are not."""
    if _MEASURE_NEXT.match(match.string, match.end()) or match.string[match.end() :][:1] in set(
        "折分针拳多余几来"
    ):
        return False
    return len(match[1]) >= 5 or match[1] in _SHORT_NUMBERS


@rule(
    rf"{_NOT_IN_WORD}(\d{{3}}|\d{{5,8}})(?=\s?(?:{_SERVICES})*(?:热线|专线|客服|电话|急救|报警|火警|投诉举报))"
)
def _named_hotline(match: re.Match[str]) -> str:
    """12345热线: the number stands before what it is."""
    return digits(match[1], telephone=True)


@rule(r"(?<![\d.])(\d{3,4})(?=室|房|号房)")
def _room(match: re.Match[str]) -> str:
    return digits(match[1])


@rule(r"(?<![\d.])(\d{11,}|0\d+)(?![\d.,])")
def _long_string(match: re.Match[str]) -> str:
    return digits(match[1])


FIRST: tuple[Rule, ...] = (
    _mobile,
    _identity,
    _plate,
    _to,
    _always,
    _mixed_code,
    _brand,
    _short_power,
    _code,
    _roman_sign,
    _roman,
)
TELEPHONES: tuple[Rule, ...] = (_landline, _hotline, _named_hotline, _extension)
ROOMS: tuple[Rule, ...] = (_room,)
LONG: tuple[Rule, ...] = (_long_string,)
