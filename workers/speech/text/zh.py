"""Chinese text to Kokoro phonemes. Runs in the speech worker.

Flow: normalised text -> phrases of Han characters -> words -> pinyin (phrase dictionary first, so polyphones get
the reading of their word) -> tone sandhi over the phrase -> symbols, one unit per word.

Source of the readings: pypinyin 0.55 with phrase-pinyin-data (MIT), vendored as assets/g2p/zh_readings.tsv.xz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workers.speech.text import numbers_zh, punctuation, zh_sounds
from workers.speech.text.aligned import Aligned, Unit
from workers.speech.text.language import is_han
from workers.speech.text.lines import SortedLines
from workers.speech.text.zh_tones import Syllable, apply_sandhi
from workers.speech.text.zh_words import Word, WordTable

# Readings that the vendored dictionary lacks or gives in a rarer form. Xiandai Hanyu Cidian, 7th edition.
_OWN_WORDS = {
    "长大": "zhang3 da4", "重启": "chong2 qi3", "重做": "chong2 zuo4", "重来": "chong2 lai2",
    "还是": "hai2 shi5", "还有": "hai2 you3", "都是": "dou1 shi4", "都有": "dou1 you3",
    "得了": "de2 le5", "似的": "shi4 de5", "为了": "wei4 le5", "因为": "yin1 wei4",
    "成为": "cheng2 wei2", "认为": "ren4 wei2", "作为": "zuo4 wei2", "以为": "yi3 wei2",
    "称为": "cheng1 wei2", "视为": "shi4 wei2", "分为": "fen1 wei2", "转为": "zhuan3 wei2",
    "改为": "gai3 wei2", "定为": "ding4 wei2", "更为": "geng4 wei2", "极为": "ji2 wei2",
    "下载": "xia4 zai4", "加载": "jia1 zai4", "记载": "ji4 zai3", "角色": "jue2 se4",
    "主角": "zhu3 jue2", "银行": "yin2 hang2", "行业": "hang2 ye4", "一行": "yi1 hang2",
    "两行": "liang3 hang2", "首行": "shou3 hang2", "音乐": "yin1 yue4", "快乐": "kuai4 le4",
    "数一数": "shu3 yi1 shu3", "调整": "tiao2 zheng3", "调用": "diao4 yong4", "空白": "kong4 bai2",
    "有空": "you3 kong4", "处理": "chu3 li3", "便宜": "pian2 yi5", "方便": "fang1 bian4",
    "差不多": "cha4 bu5 duo1", "出差": "chu1 chai1", "多少": "duo1 shao5", "漂亮": "piao4 liang5",
    "应该": "ying1 gai1", "应用": "ying4 yong4", "睡觉": "shui4 jiao4", "觉得": "jue2 de5",
    "当作": "dang4 zuo4", "上当": "shang4 dang4", "适当": "shi4 dang4", "曾经": "ceng2 jing1",
    "似乎": "si4 hu1", "教书": "jiao1 shu1", "降低": "jiang4 di1", "投降": "tou2 xiang2",
    "模样": "mu2 yang4", "模式": "mo2 shi4", "重庆": "chong2 qing4", "厦门": "xia4 men2",
    "大夫": "dai4 fu5", "朝阳": "chao2 yang2", "率先": "shuai4 xian1", "效率": "xiao4 lv4",
    "头发": "tou2 fa5", "发型": "fa4 xing2", "结果": "jie2 guo3", "结实": "jie1 shi5",
    "看家": "kan1 jia1", "一会儿": "yi2 hui4 er5", "待会儿": "dai1 hui4 er5", "哪里": "na3 li5",
    "那里": "na4 li5", "这里": "zhe4 li5",
}  # fmt: skip
# The reading of a character that stands alone as a word; inside words the dictionary decides.
_OWN_CHARACTERS = {
    "得": "de5", "地": "di4", "的": "de5", "着": "zhe5", "了": "le5", "都": "dou1", "还": "hai2",
    "嗯": "en5", "哦": "o5", "啊": "a5", "呢": "ne5", "吗": "ma5", "吧": "ba5", "么": "me5",
    "嘛": "ma5", "呀": "ya5", "哇": "wa5", "啦": "la5", "哪": "na3", "谁": "shei2", "这": "zhe4",
    "那": "na4", "给": "gei3", "没": "mei2", "会": "hui4", "为": "wei4", "行": "xing2", "长": "chang2",
    "重": "zhong4", "好": "hao3", "大": "da4", "只": "zhi3", "种": "zhong3", "数": "shu4",
    "量": "liang4", "干": "gan4", "系": "xi4", "血": "xue4", "熟": "shu2", "薄": "bao2", "露": "lu4",
}  # fmt: skip
# Words in which 儿 is a syllable of its own ("child"), not the r that colours the syllable before it.
_FULL_ER = frozenset(
    [
        "儿子",
        "女儿",
        "儿童",
        "儿科",
        "儿歌",
        "儿女",
        "儿孙",
        "婴儿",
        "幼儿",
        "孤儿",
        "少儿",
        "胎儿",
        "健儿",
        "宠儿",
        "新生儿",
        "混血儿",
        "育儿",
        "托儿所",
        "幼儿园",
        "男儿",
        "侄儿",
        "孙儿",
        "儿媳",
        "儿戏",
        "小儿",
        "产儿",
        "弃儿",
        "患儿",
        "早产儿",
        "儿时",
        "幼儿教育",
        "哪吒",
        "乳儿",
        "生儿育女",
        "弄潮儿",
        "幸运儿",
    ]
)
_COUNT_READINGS = dict(
    zip(
        "一两三四五六七八九十几每半百",
        [
            "yi1",
            "liang3",
            "san1",
            "si4",
            "wu3",
            "liu4",
            "qi1",
            "ba1",
            "jiu3",
            "shi2",
            "ji3",
            "mei3",
            "ban4",
            "bai3",
        ],
        strict=True,
    )
)
# After these single characters 得, 地 and 还, 了 take their full readings (very small rules for very common cases).
_MUST = frozenset("就都还可总必也你我他她您们又只才非须先")


@dataclass(frozen=True)
class _Reading:
    word: Word
    syllables: list[str]


class Chinese:
    """The Mandarin front end. Tables are read when the first sentence comes."""

    def __init__(self, folder: Path) -> None:
        """`folder`: assets/g2p."""
        self._folder = folder
        self._tables: tuple[WordTable, SortedLines] | None = None

    def read(self, aligned: Aligned) -> list[Unit]:
        """Units of one run of Chinese text (Han characters, digits and marks), in order."""
        units: list[Unit] = []
        text = aligned.text
        position = 0
        while position < len(text):
            end = position
            while end < len(text) and (is_han(text[end]) or text[end].isdecimal()):
                end += 1
            if end > position:
                units.extend(self._phrase(aligned, position, end))
                position = end
                continue
            mark = punctuation.mark_of(text[position])
            if mark:
                start, stop = aligned.written(position, position + 1)
                units.append(Unit(mark, start, stop, is_word=False))
            position += 1
        return units

    def pinyin(self, phrase: str) -> list[str]:
        """The syllables of a phrase of Han characters after tone sandhi, for tests and for checking a script."""
        return [syllable.pinyin for syllable in self._syllables(phrase)]

    def _phrase(self, aligned: Aligned, start: int, end: int) -> list[Unit]:
        phrase = "".join(
            numbers_zh.digits(character) if character.isdecimal() else character
            for character in aligned.text[start:end]
        )
        units: list[Unit] = []
        syllables = self._syllables(phrase)
        index = 0
        while index < len(syllables):
            last = index
            while last + 1 < len(syllables) and syllables[last + 1].word == syllables[index].word:
                last += 1
            sounds = _word_symbols(syllables[index : last + 1])
            if sounds:
                written = aligned.written(start + index, start + last + 1)
                units.append(Unit(sounds, *written))
            index = last + 1
        return units

    def _syllables(self, phrase: str) -> list[Syllable]:
        words, _ = self._load()
        syllables: list[Syllable] = []
        for number, reading in enumerate(self._readings(_with_er(words.segment(phrase)))):
            text = reading.word.text
            syllables.extend(
                Syllable(text[place], pinyin, number, place, text, reading.word.tag)
                for place, pinyin in enumerate(reading.syllables)
            )
        apply_sandhi(syllables)
        return syllables

    def _readings(self, words: list[Word]) -> list[_Reading]:
        readings = []
        for index, word in enumerate(words):
            before = words[index - 1] if index else None
            after = words[index + 1] if index + 1 < len(words) else None
            own = _in_context(word, before, after)
            readings.append(_Reading(word, own or self.lookup(word.text)))
        return readings

    def lookup(self, word: str) -> list[str]:
        """Dictionary syllables of a word; parts are looked up when the whole is not listed.

        One syllable per character, always: a character that no dictionary has gets an empty reading.
        """
        if len(word) == 1 and word in _OWN_CHARACTERS:
            return [_OWN_CHARACTERS[word]]
        return self._parts(word)

    def _parts(self, word: str) -> list[str]:
        _, table = self._load()
        if not word:
            return []
        entry = _OWN_WORDS.get(word) or table.get(word)
        if entry is not None and len(entry.split()) == len(word):
            return entry.split()
        if len(word) == 3 and word[0] == word[1] and word[2] == "地":
            return [*self._parts(word[:2]), "de5"]  # 轻轻地 as one word
        for size in range(len(word) - 1, 1, -1):  # longest listed part first
            for start in range(len(word) - size + 1):
                part = word[start : start + size]
                entry = _OWN_WORDS.get(part) or table.get(part)
                if entry is not None and len(entry.split()) == size:
                    return self._parts(word[:start]) + entry.split() + self._parts(word[start + size :])
        return [table.get(character) or "" for character in word]

    def _load(self) -> tuple[WordTable, SortedLines]:
        if self._tables is None:
            words = WordTable(SortedLines.from_file(self._folder / "zh_words.tsv.xz"))
            self._tables = words, SortedLines.from_file(self._folder / "zh_readings.tsv.xz")
        return self._tables


def _with_er(words: list[Word]) -> list[Word]:
    """Hang a 儿 that was cut off back onto the word before it."""
    merged: list[Word] = []
    for word in words:
        if word.text == "儿" and merged and merged[-1].text + "儿" not in _FULL_ER:
            merged[-1] = Word(merged[-1].text + "儿", merged[-1].start, merged[-1].tag)
        else:
            merged.append(word)
    return merged


def _in_context(word: Word, before: Word | None, after: Word | None) -> list[str] | None:
    """Readings of single characters that hang on their neighbours."""
    text = word.text
    if (
        text == "地"
        and before is not None
        and (before.tag[:1] in {"d", "z"} or (after and after.tag[:1] == "v"))
    ):
        return ["de5"]  # 慢慢地走
    if text == "得" and (
        before is None or before.tag == "m" or (after is not None and after.text[0] in "了到第过")
    ):
        return ["de2"]  # 得了第一名, 三三得九
    if text == "得" and before is not None and before.text[-1] in _MUST and after is not None:
        return ["dei3"]  # 我得走了
    if text == "还" and after is not None and after.text in {"给", "了", "钱", "清", "款", "书", "债"}:
        return ["huan2"]
    if text == "长" and after is not None and after.text in {"得", "出", "着", "满", "成"}:
        return ["zhang3"]  # 长得很高
    if text == "只" and before is not None and before.tag == "m":
        return ["zhi1"]  # 三 只 猫
    if len(text) == 2 and text[1] == "只" and text[0] in "一两三四五六七八九十几每这那半百":
        return [_COUNT_READINGS.get(text[0]) or _OWN_CHARACTERS[text[0]], "zhi1"]  # 三只 猫
    if text == "行" and before is not None and before.tag == "m":
        return ["hang2"]  # 第三行
    if text == "重" and after is not None and after.tag[:1] == "v":
        return ["chong2"]
    if (
        text == "为"
        and before is not None
        and before.tag[:1] in {"v", "n"}
        and after is not None
        and after.tag == "m"
    ):
        return ["wei2"]  # 温度为三十度
    if text == "干" and after is not None and after.text[0] in "净燥旱涸洗":
        return ["gan1"]
    return None


def _word_symbols(syllables: list[Syllable]) -> str:
    """Symbols of one word; 儿 colours the syllable before it unless the word needs it whole."""
    out = ""
    index = 0
    while index < len(syllables):
        syllable = syllables[index]
        index += 1
        if not syllable.pinyin:
            continue
        rhotic = (
            index < len(syllables)
            and syllables[index].character == "儿"
            and syllable.word_text not in _FULL_ER
            and not any(whole in syllable.word_text for whole in _FULL_ER)
        )
        out += zh_sounds.to_symbols(syllable.pinyin, rhotic=rhotic)
        index += rhotic
    return out
