"""More characters whose reading hangs on their neighbours. Pure; runs in the speech worker.

Flow: the text on both sides of a single-character word -> its reading, or None. Used by `zh_context`.
Source: Xiandai Hanyu Cidian, 7th edition.
"""

from __future__ import annotations

_COUNTS = "一二两三四五六七八九十几半百千"


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
