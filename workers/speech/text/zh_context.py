"""Readings of single characters that hang on their neighbours. Pure; runs in the speech worker.

Flow: a word, the words around it, the phrase -> its syllables where a rule of grammar decides, else None.
Source: Xiandai Hanyu Cidian on each character; Xiandai Hanyu babai ci (Lü Shuxiang) on 得, 着, 了, 只, 还, 为.
"""

from __future__ import annotations

from workers.speech.text.zh_around import Around
from workers.speech.text.zh_own import (
    COUNT_READINGS,
    DONE_FOR,
    MEASURE_READINGS,
    SURNAMES,
    TITLES,
    TWINS,
    WEATHER,
)
from workers.speech.text.zh_verbs import more, of_pair
from workers.speech.text.zh_words import Word

_COUNTS = frozenset("一二两三四五六七八九十几每半百千万零数多好")
# After these 得 is "must".
_MUST = frozenset("就都还可总必也你我他她您们又只才非须先谁家人今明天准至")
_PERSONS = frozenset("你我他她它您咱")
# Said of a person or thing that grows.
_GROWN = frozenset("得出着满成高大胖壮肉毛个开")
_DEGREE = frozenset("很太不更最多这那么较好越真挺够极有")
# What is tied: 系 before these is ji4.
_TIED = frozenset("一鞋安领围扣绳红蝴腰带丝在着上紧好住个了")
_MEASURED = frozenset("体身血尺腰三胸长宽高一了过得着好完")
_CARRIED = frozenset("双书背包孩着起个行枪弟妹女儿竹一")
_PLANTED = frozenset("在树花草菜地田瓜豆粮庄稻麦棉果茶药葱蒜橘苹葡萄桃了着下上满出")
_ADJUST = frozenset("小大高低好准慢快整成节亮暗匀味色一音温台频")
_TRANSFER = frozenset("到往去来走回离任动入出")


def in_context(word: Word, around: Around) -> list[str] | None:
    """The syllables of `word` by rule, None when no rule speaks."""
    text = word.text
    if len(text) == 2 and text[1] == "只" and text[0] in COUNT_READINGS:
        return [COUNT_READINGS[text[0]], "zhi1"]  # 三只 猫
    pair = of_pair(text, around.left(word), around.right(word))
    if pair:
        return pair
    if text == "一行":
        return _party_or_line(around.right(word))
    if text == "一数" and "从" in around.left(word):
        return ["yi1", "shu3"]  # 从一数到十
    if text == "不着" and around.before is not None and around.before.tag[:1] == "v":
        return ["bu5", "zhao2"]  # 点不着
    if text == "背着" and around.right(word)[:1] in _CARRIED:
        return ["bei1", "zhe5"]
    if text == "穿着" and around.right(word)[:1] not in {"", *"打得讲的很上朴整随"}:
        return ["chuan1", "zhe5"]
    if len(text) != 1:
        return None
    left, right = around.left(word), around.right(word)
    surname = _surname(text, left, right)
    if surname:
        return [surname]
    rule = _RULES.get(text)
    reading = more(text, left, right)
    if reading is None and rule:
        reading = rule(word, around, left, right)
    if reading is None and text in TWINS and _is_doubled(text, left, right):
        reading = TWINS[text]
    return [reading] if reading else None


def last_of_count(word: Word, around: Around) -> str | None:
    """The last syllable of a word that is a number with its measure: 第三行, 一场, 两宿."""
    head, last = word.text[:-1], word.text[-1]
    if last not in MEASURE_READINGS or not head or not set(head) <= _COUNTS | {"第", "这", "那", "哪"}:
        return None
    if last == "卷" and "第" not in head:
        return None
    return _event(around.right(word)) if last == "场" else MEASURE_READINGS[last]


def _surname(text: str, left: str, right: str) -> str | None:
    """曾先生, 姓单, 老仇: the reading of a surname."""
    if text not in SURNAMES:
        return None
    named = left.endswith("姓") and not left.endswith("老百姓")
    titled = right.startswith(TITLES[:17]) and left[-1:] not in _COUNTS
    called = left[-1:] in {"老", "小"} and not right and len(left) == 1
    return SURNAMES[text] if named or titled or called else None


def _is_doubled(text: str, left: str, right: str) -> bool:
    """量一量, 数了数, 数数: a verb with its twin."""
    return (
        right[:1] == text
        or left[-1:] == text
        or (right[:1] in {"一", "了"} and right[1:2] == text)
        or (left[-1:] in {"一", "了"} and left[-2:-1] == text)
        or right.startswith(("一下", "了一下"))
    )


def _party_or_line(right: str) -> list[str]:
    """一行 with a number of people behind it is a party of travellers; else a line."""
    people = right[:1] in _COUNTS or right[:1] in {"人", "抵", "来", "前", "访", "赴", "到"}
    return ["yi1", "xing2" if people else "hang2"]


def _event(right: str) -> str:
    """一场雨 is cháng, 一场比赛 chǎng."""
    return (
        "chang2" if right.removeprefix("大").startswith(WEATHER) or right[1:2] in {"雨", "雪"} else "chang3"
    )


def _is_number(word: Word | None) -> bool:
    return word is not None and (word.tag == "m" or all(character in _COUNTS for character in word.text))


def _de_ground(word: Word, around: Around, left: str, right: str) -> str | None:
    before, after = around.before, around.after
    if before is None:
        return None
    if (
        before.tag[:1] in {"d", "z"}
        or len(before.text) == 4
        or (after is not None and after.tag[:1] == "v" and (len(before.text) > 1 or before.tag[:1] == "a"))
    ):
        return "de5"  # 慢慢地走
    return None


def _de_get(word: Word, around: Around, left: str, right: str) -> str | None:
    before = around.before
    if before is not None and before.tag == "r" and right[:1] in set("一两三满高金银铜奖病癌冠胜罪分几"):
        return "de2"  # 他得一分
    if before is None or before.tag == "m" or right[:1] in set("了到第过"):
        if before is not None and right[:1] == "了" and before.tag[:1] == "v":
            return "de5"  # 办得了
        return "de2"  # 得了第一名, 三三得九
    if before.text[-1] in _MUST and right and before.tag[:1] != "v":
        return "dei3"  # 我得走了
    return None


def _hai_huan(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in set("给清钱款书债账了"):
        return "huan2"
    if right[:1] in _PERSONS and any(
        right[1:].startswith(thing) for thing in ("钱", "书", "债", "的", "一个人情", "人情")
    ):
        return "huan2"  # 还你钱
    if left.endswith(("没", "不", "再", "早", "快", "该", "要")) and (not right or right[0] in "了吗呢吧"):
        return "huan2"  # 还没还
    if (
        left.endswith(("要", "没", "来", "去", "该", "快", "必须", "借", "能"))
        and right[:1] in set("他你我")
        and len(right) < 4
    ):
        return None
    return "hai2" if around.after is not None else None


def _chang_zhang(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in _GROWN and left[-1:] not in _DEGREE:
        return "zhang3"  # 长得很高
    if right[:1] == "了" and left[-1:] not in _DEGREE and not _is_number(around.before):
        return "zhang3" if left[-1:] not in set("发线度路") else None
    if right[:1] in _COUNTS and around.before is not None and around.before.tag[:1] == "n":
        return "chang2"  # 桌子长两米
    if left[-1:] in _DEGREE:
        return "chang2"
    return None


def _zhi(word: Word, around: Around, left: str, right: str) -> str | None:
    if _is_number(around.before) or left[-1:] in set("这那哪每几"):
        return "zhi1"  # 三 只 猫
    return "zhi3"


def _hang(word: Word, around: Around, left: str, right: str) -> str | None:
    if (
        "第" in left[-4:]
        or _is_number(around.before)
        or left[-1:] in set("每几哪这那")
        or (left[-1:] in _COUNTS and "第" in left)
    ):
        return "hang2"  # 第三行
    return None


def _zhong_chong(word: Word, around: Around, left: str, right: str) -> str | None:
    if left[-1:] in _DEGREE and left[-1:] != "不":
        return "zhong4"
    if _is_number(around.before):
        return "chong2" if right[:1] not in {"要", "量"} else None  # 双重, 九重
    if (
        around.after is not None
        and around.after.tag[:1] == "v"
        and around.before is not None
        and around.before.tag[:1] != "n"
    ):
        return "chong2"
    return None


def _wei(word: Word, around: Around, left: str, right: str) -> str | None:
    before, after = around.before, around.after
    if (
        "以" in left[-6:]
        and "为" not in left[-6:]
        and after is not None
        and after.tag[:1] in {"n", "a", "v", "m"}
    ):
        return "wei2"  # 以他为榜样
    if before is not None and before.tag[:1] in {"v", "n"} and after is not None and after.tag == "m":
        return "wei2"  # 温度为三十度
    if after is not None and after.tag[:1] in {"n", "r"} and any(verb in right[:10] for verb in DONE_FOR):
        return "wei4"  # 为大家服务
    if left.endswith(("命名", "翻译", "任命", "评选", "公认", "誉", "尊", "列", "升级", "更名", "改名")):
        return "wei2"
    return None


def _gan(word: Word, around: Around, left: str, right: str) -> str | None:
    return "gan1" if right[:1] in set("净燥旱涸洗") else None


def _xi_ji(word: Word, around: Around, left: str, right: str) -> str | None:
    return (
        "ji4"
        if right[:1] in _TIED and around.before is not word and not left.endswith(("关", "联", "体"))
        else None
    )


def _liang(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in _MEASURED and around.before is not None and around.before.tag[:1] != "n":
        return "liang2"
    return None


def _luo_la(word: Word, around: Around, left: str, right: str) -> str | None:
    if ("把" in left or "被" in left or "东西" in left or "别" in left) and right[:1] in set("在下了"):
        return "la4"  # 把书落在家里
    return None


def _sheng_cheng(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in set("饭汤水满了一着上粥菜点碗好出两三半") and left[-1:] not in _DEGREE:
        return "cheng2"
    return None


def _su_xiu(word: Word, around: Around, left: str, right: str) -> str | None:
    return "xiu3" if _is_number(around.before) or left[-1:] in set("整半几") else None


def _tu(word: Word, around: Around, left: str, right: str) -> str | None:
    return "tu3" if right[:1] in set("出字露舌丝司痰槽气烟泡核籽瓜") else "tu4"


def _zhuan(word: Word, around: Around, left: str, right: str) -> str | None:
    if (
        "绕" in left
        or "围" in left
        or right[:1] in set("圈个动得起来几着")
        or left.endswith(("团团", "直打"))
    ):
        return "zhuan4"
    if left[-1:] in set("左右向后") or right[:1] in set("到向往成给入账院学身"):
        return "zhuan3"
    return None


def _bei(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in {"着", "起", "上", "了"}:
        thing = right[1:].removeprefix("一个")
        return (
            "bei1"
            if thing[:1] in _CARRIED and not thing.startswith(("书上", "一课", "一首", "一段"))
            else None
        )
    return "bei1" if right[:1] in {"包", "枪"} or right.startswith(("孩子", "行李")) else "bei4"


def _zhong(word: Word, around: Around, left: str, right: str) -> str | None:
    if _is_number(around.before) or left[-1:] in set("这那哪每各几某何此多两同该本"):
        return "zhong3"
    return "zhong4" if right[:1] in _PLANTED else None


def _shu(word: Word, around: Around, left: str, right: str) -> str | None:
    if ("从" in left and right[:1] in {"到", "起"}) or right[:1] in {
        "着",
        "星",
        "钱",
        "清",
        "完",
        "不",
        "得",
        "到",
    }:
        return "shu3"  # 从一数到十
    return None


def _tiao_diao(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in _ADJUST or right.startswith("到最"):
        return "tiao2"
    return "diao4" if right[:1] in _TRANSFER else None


def _zhe(word: Word, around: Around, left: str, right: str) -> str | None:
    if left[-1:] in set("睡点找猜碰烧摸逮抓") and (not right or right[0] in set("了没")):
        return "zhao2"  # 找着了
    if left.endswith(("不",)) and left[:-1]:
        return "zhao2"  # 够不着
    if left[-1:] in {"得"} and not right:
        return "zhao2"
    return None


def _liao(word: Word, around: Around, left: str, right: str) -> str | None:
    if left[-1:] in {"不", "得"} and len(left) > 1 and left[-2] not in "也并":
        return "liao3"  # 来不了, 办得了
    return None


def _jiao(word: Word, around: Around, left: str, right: str) -> str | None:
    return "jiao4" if "睡" in left or left.endswith(("一", "午", "懒", "大")) else "jue2"


def _jia(word: Word, around: Around, left: str, right: str) -> str | None:
    if left[-1:] in set("天周月年") or left.endswith(
        ("个月", "星期", "请", "请了", "放", "放了", "休", "的长", "请个")
    ):
        return "jia4"
    return None


def _xue_xie(word: Word, around: Around, left: str, right: str) -> str | None:
    return "xue4" if right[:1] in set("的与和") and len(right) > 1 else "xie3"


def _chang(word: Word, around: Around, left: str, right: str) -> str | None:
    return _event(right) if _is_number(around.before) or left[-1:] in set("这那每几") else "chang3"


def _juan(word: Word, around: Around, left: str, right: str) -> str | None:
    if "第" in left[-4:] or (left[-1:] in set("上下开考交本")):
        return "juan4"
    return None


def _kong(word: Word, around: Around, left: str, right: str) -> str | None:
    if left[-1:] in {"有", "没", "抽", "得"} or right[:1] in {"出", "着", "下", "两", "一"}:
        return "kong4"
    return None


def _dao(word: Word, around: Around, left: str, right: str) -> str | None:
    if right[:1] in set("水茶酒垃油牛咖一杯满车退立着过进出入给掉") and left[-1:] not in set("摔跌推撞晕滑"):
        return "dao4"
    if left[-1:] in set("摔跌推撞晕滑倾病醉累压绊打击昏吹放跪拉") or right[:1] in set("闭塌霉在地下"):
        return "dao3"
    return None


def _hua(word: Word, around: Around, left: str, right: str) -> str | None:
    return "hua2" if right[:1] in set("一着破船桨火过伤开算得") or right.startswith("了一") else None


def _zhe_broken(word: Word, around: Around, left: str, right: str) -> str | None:
    """绳子折了: broken, of what is long; 打折了 and 折了一下 are not."""
    return "she2" if right == "了" and around.before is not None and around.before.tag[:1] == "n" else None


def _zhong_hit(word: Word, around: Around, left: str, right: str) -> str | None:
    return "zhong4" if right[:1] in set("了奖毒计弹箭暑") else None


def _san(word: Word, around: Around, left: str, right: str) -> str | None:
    return "san4" if right[:1] in {"了", "开", "会", "步", "去"} else None


_RULES = {
    "地": _de_ground, "得": _de_get, "还": _hai_huan, "长": _chang_zhang, "只": _zhi, "行": _hang, "重": _zhong_chong,
    "为": _wei, "干": _gan, "系": _xi_ji, "量": _liang, "落": _luo_la, "盛": _sheng_cheng, "宿": _su_xiu, "吐": _tu,
    "转": _zhuan, "背": _bei, "种": _zhong, "数": _shu, "调": _tiao_diao, "着": _zhe, "了": _liao, "觉": _jiao, "假": _jia,
    "血": _xue_xie, "场": _chang, "卷": _juan, "空": _kong, "倒": _dao, "散": _san, "划": _hua, "折": _zhe_broken, "中": _zhong_hit,
}  # fmt: skip
