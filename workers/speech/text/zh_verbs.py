"""More characters whose reading hangs on their neighbours. Pure; runs in the speech worker.

Flow: the text on both sides of a single-character word -> its reading, or None. Used by `zh_context`.
Source: Xiandai Hanyu Cidian, 7th edition.
"""

from __future__ import annotations

# What one has to do (得) at the beginning of a clause; what is sold by the dozen (打).
_DUTIES = (
    "好好", "多", "先", "赶", "注意", "小心", "去", "找", "想", "看", "让", "把", "有人", "靠", "等", "加", "快", "重新", "重写", "拿",
    "写", "说", "做", "走", "吃", "喝", "买", "学", "问", "跟", "给", "用", "从", "在", "再", "自己", "亲自", "马上", "尽快", "提前",
)  # fmt: skip
_DOZENS = ("鸡蛋", "啤酒", "铅笔", "毛巾", "袜子", "玫瑰")
_KIN = frozenset("爸妈爷奶哥姐弟妹叔伯舅姑婶宝太公婆")
# What is said of a rate, and not of somebody who leads (率).
_OF_A_RATE = frozenset("为是高低达超比的和与已从由仅只最提下上增很非较更太也都就不在约近逾创涨有会能可要又变")
_PERSONS = frozenset("你我他她它")
_COUNTS = "一二两三四五六七八九十几半百千"


def of_pair(text: str, left: str, right: str) -> list[str] | None:
    """The readings of two characters that count as one word, by what stands around them."""
    first = right[:1]
    if text == "五行" and left[-1:] not in set("第前后共有每这那写") and first not in set("字代文诗树"):
        return ["wu3", "xing2"]  # 五行相生, but 前五行 and 五行代码
    if text == "长长" and first in {"了", "得", "些"}:
        return ["zhang3", "chang2"]  # 头发长长了
    if text == "着手" and left[-1:] in set("空拉招挥摆拍伸举牵背搓握插甩"):
        return ["zhe5", "shou3"]  # 拉着手
    if text == "一打" and right.startswith(_DOZENS):
        return ["yi1", "da2"]
    if text == "重重" and first == "地":
        return ["zhong4", "zhong4"]
    if text == "划着" and first in {"了", "火"}:
        return ["hua2", "zhao2"]  # 火柴划着了
    return None


def _is_doubled(left: str) -> bool:
    """Whether what stands before says how something is done by doubling: 傻傻, 蹦蹦跳跳, 红彤彤."""
    return len(left) > 1 and left[-1] == left[-2] and left[-1] not in _KIN


def more(text: str, left: str, right: str) -> str | None:
    """The reading of the word `text` between `left` and `right` of its phrase."""
    last, first = left[-1:], right[:1]
    if text == "差" and (first in set(_COUNTS) and right[:2] != "一半"):
        return "cha4"  # 还差五块钱
    if text == "得" and first in set(_COUNTS) and right[1:2] in set("天年周个小分块元万千百"):
        return "dei3" if len(left) > 3 and last not in set("长高走跑住睡坐等站") else None  # 修好得三天
    if (
        text == "落"
        and first == "在"
        and right.endswith(("家里", "家里了", "车上", "车上了", "家", "店里了", "办公室", "办公室了"))
    ):
        return "la4"
    if text == "散" and first in {"了", "开"} and last in set("带发绳架包"):
        return "san3"  # 鞋带散了
    if text == "涨" and first == "得" and any(colour in right for colour in ("红", "紫")):
        return "zhang4"
    if text == "冲" and not right and last in set("很太真更"):
        return "chong4"
    if text == "称" and first in {"身", "心"}:
        return "chen4"
    if text == "和" and first == "面" and (not left or last in set("会在来先去")):
        return "huo2"  # 和面要用温水
    if text == "和" and right in {"面", "面呢"} and "在" in left:
        return "huo2"  # 在厨房和面
    if text == "和" and right.startswith("在一起"):
        return "huo4"
    if text == "和" and first == "了" and any(game in left + right for game in ("麻将", "牌", "把")):
        return "hu2"
    if text == "的" and last == "打" and first in {"去", "来", "到", "回"} and right[1:2] != "年":
        return "di1"  # 打的去机场
    if (
        text == "看"
        and right.startswith(("孩子", "小孩", "娃"))
        and left.endswith(("家", "帮", "忙", "里", "得", "要"))
    ):
        return "kan1"  # 在家看孩子
    if text == "得" and first == "的":
        return "de2"  # 他得的是感冒
    if text == "得" and not left and right.startswith(_DUTIES):
        return "dei3"  # 得好好休息
    if text == "还" and left and not right:
        return "huan2"  # 有借有还
    if text == "长" and first == "得" and last in set("路线河绳桥道队"):
        return "chang2"  # 路长得看不到头
    if text == "盛" and right.startswith(("不下", "得下", "不了")):
        return "cheng2"
    if text == "地" and right == "滑":
        return "di4"  # 小心地滑
    if text == "长" and last == "又" and first in {"", "又", "的"}:
        return "chang2"  # 又黑又长
    if text == "打" and last in set(_COUNTS) and right.startswith(_DOZENS):
        return "da2"  # 两打鸡蛋
    if text == "地" and _is_doubled(left):
        return "de5"  # 蹦蹦跳跳地上学
    if text == "率" and left and (not right or first in _OF_A_RATE):
        return "lv4"  # 用户留存率为三成
    if text == "空" and right.startswith("着手"):
        return "kong1"
    if text == "冲" and (first in _PERSONS or (first == "着" and right[1:2] in _PERSONS)):
        return "chong4"  # 冲我喊
    if text == "拧":
        return (
            "ning2"
            if any(cloth in left + right for cloth in ("毛巾", "衣", "耳朵", "抹布", "床单"))
            else "ning3"
        )
    if text == "还" and left and first in _PERSONS and right[1:] in {"", "了", "吧", "们"}:
        return "huan2"  # 明天还你
    if (text == "倒" and last == "杯") or (text == "倒" and first in {"杯", "碗", "点"}):
        return "dao4"
    if text == "扇" and first in {"着", "了", "起"}:
        return "shan1"
    if text == "没" and first == "过" and any(flood in left for flood in "水潮雪草"):
        return "mo4"  # 水没过了膝盖
    if text == "石" and last in set(_COUNTS) and first in {"米", "粮", "谷", ""}:
        return "dan4"
    if text == "折" and first == "了" and right[1:].startswith(("本", "腿", "腰", "胳膊", "骨")):
        return "she2" if "本" in right else "zhe2"
    if text == "种" and any(
        crop in right[:4] for crop in ("玉米", "小麦", "水稻", "蔬菜", "花生", "土豆", "大豆")
    ):
        return "zhong4" if last not in set("这那哪每各几一两三") else None
    return None
