"""Tone sandhi of Mandarin: what the tones become when syllables meet. Pure; runs in the speech worker.

Flow: the words of a phrase with their dictionary tones -> neutral tones -> 一 and 不 -> third tones.
Source: Xiandai Hanyu (Huang and Liao) on 变调 and 轻声; Duanmu 2007, chapter 11, for third tones across words.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from workers.speech.text.zh_tone_words import FULL_TONES, NEUTRAL_SECOND

_PARTICLES = frozenset("吗呢吧啊呀哇哪啦嘛呗喽噢哟么")
_STRUCTURAL = frozenset("的地")
_ASPECT = frozenset("了着过")
_DIRECTIONS = frozenset("来去")
# What a verb may lead to: 看不清楚, 听不懂. After 是, 能 and their like 不 denies what follows.
_COMPLEMENTS = frozenset(
    {
        "清",
        "清楚",
        "见",
        "到",
        "懂",
        "完",
        "起",
        "来",
        "下",
        "上",
        "出",
        "出来",
        "进",
        "进去",
        "动",
        "住",
        "开",
        "明白",
        "惯",
        "够",
        "下去",
        "过去",
        "着",
        "了",
        "及",
        "成",
        "得",
    }
)
_NOT_ACTIONS = frozenset("是能会要想该可敢肯有在让叫使去")
_DIRECTION_HEADS = frozenset("上下进出回过起开")
_NUMERALS = frozenset("零〇一二两三四五六七八九幺点")
_UNITS = frozenset("十百千万亿")
_HEADS = frozenset("小老纸好很女")
# Sayings in which 得 leads to a complement, although the dictionary says otherwise.
_LED_BY_DE = frozenset(("说得过去", "打得火热", "见不得人"))
_BETWEEN = frozenset("比到至杠")
# What is named by its number, and what makes one of it: 这一楼的人.
_NUMBERED = ("年级", "单元", "等奖", "楼", "号楼", "号线", "环路")
_NOT_NUMBERED = frozenset(("这", "那", "同", "某", "每", "哪", "另"))
# What makes 一点 an hour or a decimal and not "a little": 下午一点, 一点半, 一点五.
_HOUR_BEFORE = frozenset("午晨晚夜间")
_HOUR_AFTER = frozenset("钟半整多到至")


@dataclass
class Syllable:
    """One syllable of a phrase: character, pinyin with tone digit, and where its word begins and ends.

    `doubts`: other readings it may have. `fixed`: somebody said how it is read; its tone does not change.
    """

    character: str
    pinyin: str
    word: int  # number of its word in the phrase
    place: int  # place in its word
    word_text: str
    tag: str
    doubts: tuple[str, ...] = ()
    fixed: bool = False

    @property
    def tone(self) -> str:
        """Its digit, 1 to 5; empty for a character without a reading."""
        return self.pinyin[-1:]

    def set_tone(self, tone: str) -> None:
        """Replace the tone digit."""
        if self.pinyin and not self.fixed:
            self.pinyin = self.pinyin[:-1] + tone


def apply_sandhi(syllables: list[Syllable]) -> None:
    """Change the tones of one phrase (no punctuation inside) in place."""
    for index, syllable in enumerate(syllables):
        if syllable.fixed:
            continue
        if syllable.character == "一":
            syllable.pinyin = "yi1"
        elif syllable.character == "不" and syllable.pinyin in {"bu2", "bu3"}:
            syllable.pinyin = "bu4"
        elif syllable.character == "子" and syllable.word_text in FULL_TONES:
            syllable.pinyin = "zi3"
        if _is_neutral(syllables, index):
            syllable.set_tone("5")
    for index in range(len(syllables)):
        _yi(syllables, index)
        _bu(syllables, index)
    _third_tones(syllables)


def _is_neutral(syllables: list[Syllable], index: int) -> bool:
    """Whether the syllable loses its tone by what it is, not by what follows."""
    syllable = syllables[index]
    word, place, character = syllable.word_text, syllable.place, syllable.character
    if word in FULL_TONES:
        return False
    last = place == len(word) - 1
    if word in NEUTRAL_SECOND and last and place > 0:
        return True
    if len(word) > 2 and last and word[-2:] in NEUTRAL_SECOND:
        return True
    if len(word) > 2 and place == 1 and word[:2] in NEUTRAL_SECOND:
        return True
    if character in _PARTICLES and len(word) == 1 and index > 0:
        return True
    if character in _STRUCTURAL and len(word) == 1:
        return syllable.pinyin[:-1] == "de"
    if character == "得" and len(word) > 3 and word not in _LED_BY_DE:
        return syllable.pinyin == "de5"  # sayings as 如鱼得水 keep the verb that 得 is
    if character == "得" and 0 < place < len(word) - 1:
        return word[place - 1] != "不"  # 看得见, 走得快, but not 不得不
    if character in _ASPECT and len(word) == 1 and index > 0:
        return syllable.pinyin[:-1] in {"le", "zhe"} or (
            character == "过" and syllables[index - 1].tag[:1] == "v"
        )
    if character in "们子" and last and place > 0 and syllable.tag[:1] in {"n", "r"}:
        return True
    if (
        character in _DIRECTIONS
        and place > 0
        and word[place - 1] in _DIRECTION_HEADS
        and syllable.tag[:1] == "v"
    ):
        return True
    # Doubled nouns of kinship and doubled verbs: 看看, 试试.
    return (
        place == 1
        and len(word) == 2
        and word[0] == word[1]
        and syllable.tag[:1] in {"v", "n"}
        and not (syllables[index + 1 : index + 2] and syllables[index + 1].character == "地")
        and syllables[index - 1].pinyin == syllable.pinyin  # 头发长长了 is two words
    )


def _yi(syllables: list[Syllable], index: int) -> None:
    """一: full tone in counting and at the end, second before a fourth tone, fourth before the others."""
    syllable = syllables[index]
    if syllable.character != "一" or syllable.tone == "5":
        return
    before = syllables[index - 1].character if index else ""
    following = syllables[index + 1] if index + 1 < len(syllables) else None
    if (
        following is None
        or before == "第"
        or _is_compared(syllables, index)
        or (before in _NUMERALS | _UNITS and following.character != "刻")
        or (following.character in _NUMERALS and following.character != "点")
        or (following.character == "点" and _is_hour(syllables, index))
    ):
        return
    behind = "".join(other.character for other in syllables[index + 1 : index + 3])
    if behind.startswith(_NUMBERED) and before not in _NOT_NUMBERED:
        return  # 一年级, 一楼
    if following.character == "十" or (
        following.character in "月号日" and before not in {"同", "某", "每", "有"}
    ):
        return
    if before and before == following.character:
        syllable.set_tone("5")  # 看一看
        return
    own_word = syllable.word_text
    if len(own_word) > 1 and syllable.place == len(own_word) - 1:
        return  # the last syllable of a word such as 统一, 唯一
    # 个 is said without tone but counts as what it once was, a fourth.
    falling = following.tone == "4" or following.character == "个"
    syllable.set_tone("2" if falling else "4")


def _is_compared(syllables: list[Syllable], index: int) -> bool:
    """Whether the 一 at `index` is one of two numbers: 三比一, 一到两天. 比一比 and 一到家 are not."""
    if "".join(syllable.character for syllable in syllables[index + 1 : index + 2]) in _UNITS:
        return False  # 比一百
    before = "".join(syllable.character for syllable in syllables[max(index - 2, 0) : index])
    behind = "".join(syllable.character for syllable in syllables[index + 1 : index + 3])
    return any(
        len(pair) == 2 and pair[joint] in _BETWEEN and pair[1 - joint] in _NUMERALS
        for pair, joint in ((before, 1), (behind, 0))
    )


def _is_hour(syllables: list[Syllable], index: int) -> bool:
    """Whether the 一点 at `index` counts: an hour or the beginning of a decimal."""
    before = syllables[index - 1].character if index else ""
    after = syllables[index + 2].character if index + 2 < len(syllables) else ""
    return before in _HOUR_BEFORE or after in _HOUR_AFTER | _NUMERALS


def _bu(syllables: list[Syllable], index: int) -> None:
    """不: second tone before a fourth, without tone between a verb and its twin or its complement."""
    syllable = syllables[index]
    if syllable.character != "不" or syllable.tone == "5":
        return
    following = syllables[index + 1] if index + 1 < len(syllables) else None
    if following is None:
        return
    before = syllables[index - 1] if index else None
    if before is not None and before.character == following.character:
        syllable.set_tone("5")  # 好不好
    elif (
        before is not None
        and before.tag[:1] in {"v", "l"}
        and before.place == 0
        and (before.word == syllable.word or len(before.word_text) == 1)
        and before.character not in _NOT_ACTIONS
        and (syllable.word_text[syllable.place + 1 :] or following.word_text) in _COMPLEMENTS
    ):
        syllable.set_tone("5")  # 看不清楚
    elif following.tone == "4":
        syllable.set_tone("2")


def _third_tones(syllables: list[Syllable]) -> None:
    """A third tone before a third tone becomes a second, inside words and where a one-syllable word leans on."""
    size = len(syllables)
    start = 0
    while start < size:
        end = start
        while end < size and syllables[end].tone == "3":
            end += 1
        if end - start > 1:
            _third_run(syllables[start:end])
        start = max(end, start + 1)


def _third_run(run: list[Syllable]) -> None:
    """One stretch of third tones, at least two."""
    lengths = {syllable.word: 0 for syllable in run}
    for syllable in run:
        lengths[syllable.word] += 1
    for current, following in pairwise(run):
        same_word = current.word == following.word
        # 纸老虎 (1+2) keeps its first third tone; 展览馆 (2+1) does not. The heads that make 1+2 are few.
        keeps = (
            same_word and current.place == 0 and lengths[current.word] == 3 and current.character in _HEADS
        )
        # Two words of two syllables may stay apart (also in careful speech); a short one never stands alone.
        joined = same_word or len(current.word_text) == 1 or len(following.word_text) == 1
        if joined and not keeps:
            current.set_tone("2")
