"""Japanese readings of numbers and counters, in katakana. Pure functions; runs in the speech worker.

Source: NHK Nihongo Hatsuon Akusento Jiten on counters: the sound changes before 百, 千, 分, 本, 杯, 匹, 個, 回, 歳
and the native counts of people, things and days.
"""

from __future__ import annotations

_ONES = ("ゼロ", "イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュー")
_HUNDREDS = {1: "ヒャク", 3: "サンビャク", 6: "ロッピャク", 8: "ハッピャク"}
_THOUSANDS = {1: "セン", 3: "サンゼン", 8: "ハッセン"}
_BIG = ("", "マン", "オク", "チョー", "ケー")
MAX_CARDINAL_DIGITS = 4 * len(_BIG)

_DAYS = {
    1: "ツイタチ", 2: "フツカ", 3: "ミッカ", 4: "ヨッカ", 5: "イツカ", 6: "ムイカ", 7: "ナノカ", 8: "ヨーカ", 9: "ココノカ",
    10: "トーカ", 14: "ジューヨッカ", 20: "ハツカ", 24: "ニジューヨッカ",
}  # fmt: skip
_THINGS = {
    1: "ヒトツ", 2: "フタツ", 3: "ミッツ", 4: "ヨッツ", 5: "イツツ", 6: "ムッツ", 7: "ナナツ", 8: "ヤッツ", 9: "ココノツ",
}  # fmt: skip
_MONTHS = {4: "シガツ", 7: "シチガツ", 9: "クガツ"}
_HOURS = {4: "ヨジ", 7: "シチジ", 9: "クジ"}
# Counters that begin with k, s, t or h harden after 1, 6, 8, 10 ("ippun", "rokko"): counter -> (plain, hardened
# after 1, 6, 8, 10; voiced after 3). None keeps the plain form.
_COUNTERS: dict[str, tuple[str, str | None, str | None]] = {
    "分": ("フン", "プン", "プン"), "本": ("ホン", "ポン", "ボン"), "杯": ("ハイ", "パイ", "バイ"),
    "匹": ("ヒキ", "ピキ", "ビキ"), "個": ("コ", "コ", None), "回": ("カイ", "カイ", None), "階": ("カイ", "カイ", "ガイ"),
    "歳": ("サイ", "サイ", None), "章": ("ショー", "ショー", None), "巻": ("カン", "カン", None), "戦": ("セン", "セン", None),
    "節": ("セツ", "セツ", None), "才": ("サイ", "サイ", None), "冊": ("サツ", "サツ", None), "件": ("ケン", "ケン", None),
    "週間": ("シューカン", "シューカン", None), "点": ("テン", "テン", None), "頭": ("トー", "トー", None),
    "パーセント": ("パーセント", "パーセント", None), "ページ": ("ページ", "ページ", None), "か月": ("カゲツ", "カゲツ", None),
    "ヶ月": ("カゲツ", "カゲツ", None), "カ月": ("カゲツ", "カゲツ", None), "世紀": ("セーキ", "セーキ", None),
}  # fmt: skip
# Six does not harden before these.
_SIX_STAYS = frozenset("歳才冊週間点頭世紀")
_PLAIN_COUNTERS = {
    "年": "ネン", "秒": "ビョー", "円": "エン", "名": "メー", "枚": "マイ", "台": "ダイ", "番": "バン", "番目": "バンメ", "度": "ド",
    "倍": "バイ", "時間": "ジカン", "分間": "フンカン", "万円": "マンエン", "億円": "オクエン", "ドル": "ドル", "キロ": "キロ",
    "メートル": "メートル", "グラム": "グラム", "号": "ゴー", "位": "イ", "代": "ダイ", "話": "ワ", "部": "ブ", "便": "ビン", "歩": "ホ", "割": "ワリ",
}  # fmt: skip
COUNTERS = tuple(sorted({"月", "日", "時", "人", "つ", *_COUNTERS, *_PLAIN_COUNTERS}, key=len, reverse=True))


def digits(text: str) -> str:
    """Digit by digit."""
    return "".join(_ONES[int(character)] for character in text if character.isdecimal())


def _group(value: int) -> str:
    thousands, hundreds, tens, ones = value // 1000, value // 100 % 10, value // 10 % 10, value % 10
    out = ""
    if thousands:
        out += _THOUSANDS.get(thousands, _ONES[thousands] + "セン")
    if hundreds:
        out += _HUNDREDS.get(hundreds, _ONES[hundreds] + "ヒャク")
    if tens:
        out += "ジュー" if tens == 1 else _ONES[tens] + "ジュー"
    return out + (_ONES[ones] if ones else "")


def cardinal(text: str) -> str:
    """A quantity; commas allowed. Strings with a leading zero, and too long ones, digit by digit."""
    plain = text.replace(",", "")
    if len(plain) > MAX_CARDINAL_DIGITS or (len(plain) > 1 and plain.startswith("0")):
        return digits(plain)
    value = int(plain)
    if value == 0:
        return _ONES[0]
    out = ""
    power = 0
    while value:
        value, group = divmod(value, 10_000)
        if group:
            spoken = _group(group)
            if power and group == 1:
                spoken = "イチ"
            if power and group == 1000:
                spoken = "イッセン"
            if power == 3:  # 兆 hardens what stands before it
                spoken = spoken.removesuffix("チ") + "ッ" if spoken.endswith(("イチ", "ハチ")) else spoken
            out = spoken + _BIG[power] + out
        power += 1
    return out


def number(text: str) -> str:
    """A quantity with an optional fraction: "3.5" is サンテンゴ."""
    whole, dot, fraction = text.replace(",", "").partition(".")
    if not dot or not fraction:
        return cardinal(whole)
    stem = cardinal(whole or "0")
    stem = (
        "レー"
        if stem == "ゼロ"
        else stem.removesuffix("チ") + "ッ"
        if stem.endswith(("イチ", "ハチ"))
        else stem
    )
    return f"{stem}テン{digits(fraction)}"


def counted(text: str, counter: str) -> str:
    """A quantity with its counter."""
    plain = text.replace(",", "")
    if "." in plain:
        return number(plain) + _plain_counter(counter)
    value = int(plain)
    if counter == "日" and value in _DAYS:
        return _DAYS[value]
    if counter == "日":
        return cardinal(plain) + "ニチ"
    if counter == "月":
        return _MONTHS.get(value, cardinal(plain) + "ガツ")
    if counter == "時":
        return _with_last_digit(plain, _HOURS) or cardinal(plain) + "ジ"
    if counter == "人":
        return {1: "ヒトリ", 2: "フタリ"}.get(value) or _four(plain, "ヨ") + "ニン"
    if counter == "つ":
        return _THINGS.get(value, cardinal(plain) + "ツ")
    if counter in {"年", "円", "時間"}:
        return _four(plain, "ヨ") + _plain_counter(counter)
    if counter in _COUNTERS:
        return _hardened(plain, counter)
    return cardinal(plain) + _plain_counter(counter)


def _plain_counter(counter: str) -> str:
    own = {"月": "ガツ", "日": "ニチ", "時": "ジ", "人": "ニン", "つ": "ツ"}
    if counter in _COUNTERS:
        return _COUNTERS[counter][0]
    return own.get(counter) or _PLAIN_COUNTERS[counter]


def _four(plain: str, reading: str) -> str:
    """Cardinal with a last four that is ヨ, as before 人, 年, 円, 時間."""
    spoken = cardinal(plain)
    return spoken.removesuffix("ヨン") + reading if spoken.endswith("ヨン") else spoken


def _with_last_digit(plain: str, special: dict[int, str]) -> str | None:
    last = int(plain[-1])
    if last not in special or (len(plain) > 1 and plain.endswith("0")):
        return None
    head = cardinal(str(int(plain) - last)) if int(plain) > last else ""
    return head + special[last]


def _hardened(plain: str, counter: str) -> str:
    base, hard, voiced = _COUNTERS[counter]
    spoken = cardinal(plain)
    if spoken.endswith("イチ"):
        return spoken.removesuffix("チ") + "ッ" + (hard or base)
    if spoken.endswith("ロク") and counter not in _SIX_STAYS and base[0] not in "サシスセソタチツテト":
        return spoken.removesuffix("ク") + "ッ" + (hard or base)
    if spoken.endswith("ハチ"):
        return spoken.removesuffix("チ") + "ッ" + (hard or base)
    if spoken.endswith("ジュー"):
        return spoken.removesuffix("ュー") + "ュッ" + (hard or base)
    if spoken.endswith("ヒャク") and base[0] in "カキコケハヒフホ":
        return spoken.removesuffix("ク") + "ッ" + (hard or base)
    if spoken.endswith("サン") and voiced:
        return spoken + voiced
    if spoken.endswith("ヨン") and counter == "分":
        return spoken + "プン"
    return spoken + base
