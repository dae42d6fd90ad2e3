"""Chinese written forms -> what is said. Runs in the speech worker.

Flow: cleaned text -> rules, most specific first -> `Aligned` text in Han characters, Latin letters and marks.
Readings follow GB/T 15835-2011 and everyday newsreading.
"""

from __future__ import annotations

import re

from workers.speech.text import addresses
from workers.speech.text.aligned import Aligned
from workers.speech.text.numbers_en import cardinal as english_cardinal
from workers.speech.text.numbers_zh import cardinal, counted, digits, number, year
from workers.speech.text.rules import Rule, apply_rules, rule

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_RANGE = r"\s?(?:-|~|～|—|–|至|到)\s?"
_NOT_IN_NUMBER = r"(?<![\d.])"
_NOT_IN_WORD = r"(?<![\dA-Za-z.])"

# Units whose Latin sign is read in Chinese. Case matters: M is mega, m is metre.
_UNITS = {
    "km/h": "公里每小时", "m/s": "米每秒", "km²": "平方公里", "m²": "平方米", "m³": "立方米", "cm²": "平方厘米",
    "km": "公里", "cm": "厘米", "mm": "毫米", "μm": "微米", "nm": "纳米", "m": "米", "kg": "公斤", "mg": "毫克",
    "g": "克", "ml": "毫升", "mL": "毫升", "L": "升", "ms": "毫秒", "s": "秒", "min": "分钟", "h": "小时",
    "kWh": "千瓦时", "kW": "千瓦", "W": "瓦", "kHz": "千赫兹", "MHz": "兆赫兹", "GHz": "吉赫兹", "Hz": "赫兹",
    "dB": "分贝", "mAh": "毫安时", "V": "伏", "℃": "摄氏度", "°C": "摄氏度", "℉": "华氏度",
    "°F": "华氏度", "°": "度", "t": "吨", "kPa": "千帕", "Pa": "帕", "fps": "帧每秒",
}  # fmt: skip
_UNIT = "|".join(re.escape(sign) for sign in sorted(_UNITS, key=len, reverse=True))
_CURRENCIES = {
    "¥": "元", "￥": "元", "RMB": "元", "CNY": "元", "$": "美元", "US$": "美元", "USD": "美元", "HK$": "港元",
    "€": "欧元", "EUR": "欧元", "£": "英镑", "GBP": "英镑", "₩": "韩元", "₹": "卢比", "JP¥": "日元",
}  # fmt: skip
_CURRENCY = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_MEASURES = (
    "个|只|位|名|天|年|次|种|本|台|张|件|条|倍|点|分钟|小时|秒|周|岁|块|元|层|间|家|场|届|步|句|首|幅|把|辆|架|"
    "棵|杯|瓶|碗|米|公里|公斤|斤|吨|升|克|厘米|毫米|平方|立方|美元|欧元|英镑|人|口|对|双|套|门|项|部|份|段|篇|"
    "章|节|页|行|组|排|边|头|匹|座|栋|所|支|枝|颗|粒|片|面|滴|遍|趟|下|声|代|国|者|万|千|亿|分之|星期|礼拜|个月"
)
_MEASURE_NEXT = re.compile(rf"\s?(?:{_MEASURES})")
# Where these follow, 2 is a name or an ordinal and stays 二.
_ORDINAL_AFTER = "月|号|日|号楼|楼|中|班|年级|级|环|线|路|期|次方"
_TELEPHONE_CUES = r"(?:电话|热线|拨打|致电|报警|手机号?|客服|传真|拨|呼叫)"
# Dialled in three digits by everybody in China: police, fire, ambulance, traffic, directory, weather, time.
_SHORT_NUMBERS = frozenset(
    ["110", "119", "120", "122", "114", "121", "117", "999", "911", "112", "113", "118"]
)
_SERVICES = (
    "市民|政务|便民|服务|客服|消费者|消费|投诉|举报|咨询|维权|医疗|急救|报警|火警|法律|援助|心理|全国|统一"
)


def _trim_money(text: str) -> str:
    """12.50 -> 12.5, 12.00 -> 12: money has no spoken trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text


@rule(_NOT_IN_NUMBER + r"(\d{4})[-/.](0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])(?!\d|[-/.]\d)")
def _iso_date(match: re.Match[str]) -> str:
    return f"{year(match[1])}年{cardinal(match[2].lstrip('0'))}月{cardinal(match[3].lstrip('0'))}日"


@rule(_NOT_IN_NUMBER + r"(\d{4})" + _RANGE + r"(\d{4})\s?(?=年)")
def _year_range(match: re.Match[str]) -> str:
    return f"{year(match[1])}到{year(match[2])}"


@rule(_NOT_IN_NUMBER + r"(\d{4})\s?年(?!以前|之久|来|历史|内)")
def _four_digit_year(match: re.Match[str]) -> str | None:
    return f"{year(match[1])}年" if "1000" <= match[1] <= "2999" else None


@rule(_NOT_IN_NUMBER + r"(\d{2})\s?年(?=\s?\d{1,2}\s?月)")
def _two_digit_year(match: re.Match[str]) -> str:
    return f"{year(match[1])}年"


@rule(_NOT_IN_NUMBER + r"(\d{2,4})\s?年代")
def _decade(match: re.Match[str]) -> str:
    return f"{cardinal(match[1])}年代" if len(match[1]) == 2 else f"{year(match[1])}年代"


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


@rule(rf"(?:(?<![\w])([-+]))?(?<![\d.])({_NUMBER})\s?([%‰])")
def _percent(match: re.Match[str]) -> str:
    sign = {"-": "负", "+": "正", None: ""}[match[1]]
    return sign + ("百分之" if match[3] == "%" else "千分之") + number(match[2].replace(",", ""))


@rule(rf"(?<![A-Za-z])({_CURRENCY})\s?(-?)({_NUMBER})\s?(万亿|亿|千万|百万|万|千)?")
def _money(match: re.Match[str]) -> str:
    amount = _trim_money(match[3].replace(",", ""))
    spoken = counted(amount) + (match[4] or "")
    return "负" * bool(match[2]) + spoken + _CURRENCIES[match[1]]


@rule(rf"{_NOT_IN_NUMBER}(\d+(?:,\d{{3}})*\.\d+)\s?(?=元|块|美元|欧元|英镑)")
def _money_behind(match: re.Match[str]) -> str:
    return counted(_trim_money(match[1].replace(",", "")))


@rule(r"(?<![\d.])(?:\+?86[- ]?)?(1[3-9]\d)([- ]?)(\d{4})\2(\d{4})(?!\d)")
def _mobile(match: re.Match[str]) -> str:
    groups = [digits(match[index], telephone=True) for index in (1, 3, 4)]
    return "，".join(groups) if match[2] else "".join(groups)


@rule(r"(?<![\d.])(0\d{2,3}|[48]00)[- ](\d{3,4})[- ]?(\d{4})(?!\d)")
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


@rule(r"(?<![\d./])([1-9]\d{0,2})/([1-9]\d{0,2})(?![\d/]|\.\d)")
def _fraction(match: re.Match[str]) -> str | None:
    if int(match[1]) > int(match[2]) > 10:
        return None  # 血压120/80: two values, not a fraction
    return f"{cardinal(match[2])}分之{cardinal(match[1])}"


@rule(r"(?<![\d.])(\d{1,3})[:：](\d{1,3})(?![\d:：])")
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
    unit = _UNITS[match[4]] if match[4] else ""
    measured = unit or _MEASURE_NEXT.match(match.string, match.end())
    say = counted if measured else number
    first = "负" * bool(match[1]) + say(match[2].replace(",", ""))
    return f"{first}到{say(match[3].replace(',', ''))}{unit}"


@rule(rf"(?:(?<![\dA-Za-z)）%])(-))?(?<![\d.A-Za-z])({_NUMBER})\s?({_UNIT})(?:/({_UNIT}))?(?![A-Za-z\d²³])")
def _measure(match: re.Match[str]) -> str:
    unit = _UNITS[match[3]] + (f"每{_UNITS[match[4]]}" if match[4] else "")
    quantity = counted(match[2].replace(",", ""))
    if match[1]:
        return ("零下" if unit.endswith("摄氏度") else "负") + quantity + unit
    return quantity + unit


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


@rule(rf"{_NOT_IN_WORD}(-?)({_NUMBER})(?=\s?[多余几来]?(?:{_MEASURES}))")
def _counted(match: re.Match[str]) -> str:
    negative = bool(match[1]) and not re.search(r"[\w\u4e00-\u9fff]\Z", match.string[: match.start()])
    return "负" * negative + counted(match[2].replace(",", ""))


@rule(r"(?<=[A-Za-z])[- ]?(\d+(?:\.\d+)?)(?![A-Za-z\d])")
def _after_letters(match: re.Match[str]) -> str:
    """Windows 11, GPT-4, H264, RTX 4090: long strings digit by digit, short ones as numbers."""
    return " " + (digits(match[1]) if len(match[1]) > 3 and "." not in match[1] else number(match[1]))


@rule(r"(?<=[A-Za-z])(\d{1,2})(?=[A-Za-z])")
def _between_letters(match: re.Match[str]) -> str:
    """Wan2GP: a digit inside a Latin name belongs to that name and is read with it."""
    return f" {english_cardinal(match[1])} "


@rule(r"(?<![\d.])(\d{11,}|0\d+)(?![\d.,])")
def _long_string(match: re.Match[str]) -> str:
    return digits(match[1])


@rule(rf"(?:(?<![\w)）])(-))?(?<![\d.])({_NUMBER})")
def _plain(match: re.Match[str]) -> str:
    return "负" * bool(match[1]) + number(match[2].replace(",", ""))


@rule(r"(?<=[\d)）A-Za-z])\s?([+=×÷*<>≈≠≤≥±])\s?(?=[\d(（A-Za-z-])")
def _operator(match: re.Match[str]) -> str:
    names = {"+": "加", "=": "等于", "×": "乘以", "÷": "除以", "*": "乘以", "<": "小于", ">": "大于"}
    more = {"≈": "约等于", "≠": "不等于", "≤": "小于等于", "≥": "大于等于", "±": "正负"}
    return (names | more)[match[1]]


@rule(r"(?<=\d)\s?-\s?(?=\d+\s?=)")
def _minus(_: re.Match[str]) -> str:
    return "减"


@rule(r"[&＆]")
def _and(_: re.Match[str]) -> str:
    return "和"


@rule(r"(?:(?<=:\d\d)\s?[-~]\s?(?=\d{1,2}:\d\d)|(?<=[\w℃°%])\s?~\s?(?=[-\d]))")
def _until(_: re.Match[str]) -> str:
    """14:30-16:00 and -10℃~5℃: ranges of things that the rules above have read one by one."""
    return "到"


@rule(r"(?<![\d.])(\d{3,4})(?=室|房|号房)")
def _room(match: re.Match[str]) -> str:
    return digits(match[1])


@rule(r"(?<=[A-Za-z])\+\+")
def _plus_plus(_: re.Match[str]) -> str:
    return "加加"


@rule(r"(?<=[元块斤个人次天年月克米升])/(?=[斤个人次天年月克米升件条只台小公千分秒时])")
def _per(_: re.Match[str]) -> str:
    return "每"


@rule(r"[#@/~]")
def _silent(_: re.Match[str]) -> str:
    return " "


RULES: tuple[Rule, ...] = (
    addresses.email("艾特", "点"), addresses.url("点", "杠"),
    _iso_date, _year_range, _four_digit_year, _two_digit_year, _decade, _clock_range, _clock, _percent_range, _percent, _money,
    _money_behind, _mobile, _landline, _hotline, _named_hotline, _version, _fraction, _score, _minus, _range, _measure, _ordinal,
    _room, _calendar, _between_letters, _counted, _after_letters, _long_string, _plain, _plus_plus, _operator, _until, _and, _per, _silent,
)  # fmt: skip


def normalise(text: str) -> Aligned:
    """Chinese reading of a cleaned sentence."""
    return apply_rules(text, RULES)
