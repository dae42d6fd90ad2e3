"""What a chat model says, made into what a person would read aloud. Pure; runs in the service process.

Taken away: thoughts, greetings to whoever asked, headings, markup, emoji, enclosing quotes, stage directions, labels
such as "Narrator:", word counts. What may be part of the text stays: every rule wants a sign that it is none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from backend.services.script_turns import turns_of

OPEN, CLOSE = "<think>", "</think>"

_SPECIAL_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>")
_TAG = re.compile(
    r"</?(?:br|p|b|i|u|em|strong|div|span|h[1-6]|ul|ol|li|topic|script)\b[^<>\n]{0,80}/?>", re.IGNORECASE
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+[^\n]*$", re.MULTILINE)
_BOLD_LINE = re.compile(r"^[ \t]*(\*\*|__)(?!\s)[^\n*_]{1,80}\1[ \t]*$", re.MULTILINE)
_TITLE_LINE = re.compile(
    r"\A\s*(?:title|topic|script title|headline|标题|题目|主题|タイトル)[ \t]*[:：][^\n]*\n", re.IGNORECASE
)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]\n]{0,200})\]\((?:https?://|/|#)[^()\s]{0,500}\)")
_STRONG = re.compile(r"(\*\*|__|~~)(?=\S)([^\n]+?)(?<=\S)\1")
_CODE = re.compile(r"`([^`\n]+)`")
_BULLET = re.compile(r"^[ \t]*(?:[-+•·▪]|\*(?!\*))[ \t]+", re.MULTILINE)
_NUMBER = re.compile(r"^[ \t]*\d{1,2}(?:[.)][ \t]+|[、．])", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)

# Words of which one makes a bracket a direction for whoever speaks or films.
_DIRECTION = re.compile(
    r"\b(?:pauses?|beat|music|sounds?|sfx|laugh\w*|chuckl\w*|smil\w*|sigh\w*|applause|clap\w*|cheer\w*|gestur\w*|nods?|"
    r"clears? throat|camera|cut to|fade\w*|scene|visuals?|on[- ]screen|b-roll|voice ?over|narrator|intro|outro|"
    r"opening|closing|upbeat|softly|excited\w*|whisper\w*|end of script|transition)\b"
    r"|停顿|音乐|背景|镜头|画面|微笑|笑|掌声|鼓掌|叹气|语气|旁白|转场|字幕|音效|开场|结尾"
    r"|間を|ポーズ|音楽|効果音|カメラ|画面|笑い|笑顔|拍手|ナレーション|BGM",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"\([^()\n]{1,80}\)|（[^（）\n]{1,60}）|\[[^\[\]\n]{1,80}\]|【[^【】\n]{1,60}】")
_STARRED = re.compile(r"\*(?!\s)([^*\n]{1,60}?)(?<!\s)\*")
_CLOCK = re.compile(
    r"^\W*\d{1,2}:\d{2}(?:\s*[-–—~]\s*\d{1,2}:\d{2})?\W*$|^\W*\d+\s*[-–~]\s*\d+\s*(?:s|sec\w*|秒)\W*$"
)
# Pauses that our own speech engine understands.
_OWN_MARK = re.compile(r"^\[(?:pause|停顿)\s*\d+(?:\.\d+)?\s*(?:m?s|秒)\]$", re.IGNORECASE)
# What may stand before a bracket that stands alone, besides nothing: the end of a line or of a sentence.
_ENDS = frozenset('\n.!?…。！？~～:："”」')

_LABEL = re.compile(
    r"^[ \t]*(?:narrator|narration|host|speaker(?: ?\d)?|presenter|anchor|voice ?over|vo|script|intro(?:duction)?|"
    r"outro|opening|closing|conclusion|hook|body|call to action|cta|"
    r"旁白|主持人|主播|解说|口播(?:稿|文案)?|台词|正文|文案|开头|开场白?|结尾|结束语|引言|"
    r"ナレーター|ナレーション|司会|台本|本文|冒頭|導入|結び)(?:[ \t]*[（(][^()（）\n]{0,30}[)）])?[ \t]*[:：][ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_WORK = r"script|text|version|draft|speech|monologue|narration|voice ?over|copy|piece|paragraph|summary|video|rewrite"
_PREAMBLE = re.compile(
    # "Sure! Here is a 30-second script about tea:"
    rf"\A\s*(?:(?:sure|certainly|of course|absolutely|okay|ok|great|no problem|got it|happy to help)\b[^\n:：]{{0,60}}?[.!,:—-]*\s*)?"
    rf"(?:here(?:'s|’s| is| are|, you go)|below is|this is)\b[^\n:：]{{0,100}}\b(?:{_WORK})\b[^\n:：]{{0,120}}[:：][ \t]*\n*"
    # "Sure!" and nothing else in its line
    r"|\A\s*(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|got it)\b[^\n.!:：]{0,40}[.!:：]?[ \t]*\n+"
    # 好的，以下是关于茶的口播稿：
    r"|\A\s*(?:(?:好的|当然(?:可以)?|没问题|可以的?|明白了?|收到)[，,。！!\s]*)?"
    r"(?:以下|下面|这里)(?:是|为|就是)?[^\n:：]{0,60}[:：][ \t]*\n*"
    r"|\A\s*(?:好的|当然(?:可以)?|没问题|收到)[，,。！!]*[ \t]*\n+"
    # はい、以下は30秒の台本です：
    r"|\A\s*(?:(?:はい|もちろん(?:です)?|承知(?:しました|いたしました)|わかりました)[、。！!\s]*)?"
    r"(?:以下|こちら)(?:は|が|に)[^\n:：。]{0,60}[:：。][ \t]*\n*",
    re.IGNORECASE,
)
# A line that only announces the text, after some words about the task: all before it is about the task too.
_ANNOUNCEMENT = re.compile(
    rf"^[ \t]*(?:here(?:'s|’s| is)|below is)[^\n:：]{{0,80}}\b(?:{_WORK})\b[^\n:：]{{0,60}}[:：][ \t]*$"
    r"|^[ \t]*(?:以下|下面)(?:是|为)[^\n:：]{0,40}(?:稿|文案|台词|脚本|文本)[^\n:：]{0,20}[:：][ \t]*$"
    r"|^[ \t]*(?:以下|こちら)(?:は|が)[^\n:：]{0,40}(?:台本|原稿|文章)[^\n:：]{0,20}[:：][ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ANNOUNCED_WITHIN = 400
# "I removed unnecessary words.": what was done to the text, not the text.
_REVISION = re.compile(
    r"(?:\A|\n)[ \t]*I(?:'ve|’ve| have)? (?:also )?(?:removed|added|changed|rewrote|rewritten|shortened|condensed|revised|"
    r"edited|corrected|rephrased|adjusted|expanded|replaced|fixed|simplified)\b[^\n]*\b(?:words?|sentences?|text|script|"
    r"paragraphs?|grammar|punctuation|commas?|information|version|length|tone|phrases?)\b[^\n]*\s*\Z",
    re.IGNORECASE,
)
_POSTAMBLE = re.compile(
    r"(?:\A|\n)[ \t]*[(（\[*_]*(?:"
    r"let me know\b|(?:i )?hope (?:this|that|you)\b|feel free to\b|(?:please )?note(?: that)?[:：]|word count\b|"
    r"(?:total|approximate|estimated) (?:words?|characters?|length|duration|time)\b|would you like\b|end of (?:the )?script\b|"
    r"(?:approx\w*\.? )?\d+ (?:words|characters)\b|this (?:script|text|version) (?:is|has|contains|should|takes)\b|"
    r"（?全文|字数|共计?\s*\d+\s*字|希望(?:这|对你|对您|能)[^\n]{0,12}(?:帮助|满意|喜欢|要求)|如(?:果)?(?:需|有|您|你)[^\n]{0,20}(?:修改|调整|请)|"
    r"注[:：]|备注[:：]|以上(?:就是|是|为)[^\n]{0,12}(?:稿|文案|台词|脚本)|"
    r"文字数|注意?[:：]|ご希望|いかがでしょうか|以上が[^\n]{0,12}(?:台本|原稿|文章))[^\n]*\s*\Z",
    re.IGNORECASE,
)
_QUOTES = (('"', '"'), ("“", "”"), ("「", "」"), ("『", "』"), ("«", "»"), ("'", "'"), ("‘", "’"))

# Pictures and their joints; letters, digits and marks that people read (€ ° % ½ ™) are none of them.
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u25a0-\u25ff\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"
)
# The same sentence again and again: small models turn in circles. Short ones may be repeated on purpose.
_REPEATED = re.compile(
    r"(?:(?<=[\s.!?…。！？])|\A)([^\s.!?…。！？][^.!?…。！？\n]{24,300}[.!?…。！？]+)(?:\s*\1)+"
)
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’」』)）]*")


class ThoughtFilter:
    """Leaves out `<think>…</think>` of a text that arrives in pieces, however the tags are cut."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def feed(self, piece: str) -> str:
        """What of the text so far can be shown and was not yet."""
        self._held += piece
        shown = ""
        while True:
            tag = CLOSE if self._inside else OPEN
            at = self._held.lower().find(tag)
            if at >= 0:
                shown += "" if self._inside else self._held[:at]
                self._held = self._held[at + len(tag) :]
                self._inside = not self._inside
                continue
            keep = _beginning_of(tag, self._held)
            if not self._inside:
                shown += self._held[: len(self._held) - keep]
            self._held = self._held[len(self._held) - keep :]
            return shown

    def rest(self) -> str:
        """At the end: what was held back because it looked like the beginning of a tag."""
        held, self._held = self._held, ""
        return "" if self._inside else held


def _beginning_of(tag: str, text: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    lower = text.lower()
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if lower.endswith(tag[:n])), 0)


def clean_script(raw: str) -> str:
    """The text to speak; empty when nothing of it is one."""
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"})
    text = _without_thoughts(text)
    text = _SPECIAL_TOKEN.sub("", text)
    text = _TAG.sub(" ", text)
    text = _FENCE.sub("", text)
    text = _RULE.sub("", text)
    text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = _unless_empty(text, _PREAMBLE.sub("", text, count=1))
    text = _unless_empty(text, _BOLD_LINE.sub("", _HEADING.sub("", text)))
    text = re.sub(r"^[ \t]{0,3}#{1,6}[ \t]+", "", text, flags=re.MULTILINE)
    text = _CODE.sub(r"\1", _STRONG.sub(r"\2", _STRONG.sub(r"\2", text)))
    text = _unless_empty(text, _TITLE_LINE.sub("", text))
    text = _unless_empty(text, _PREAMBLE.sub("", text.strip(), count=1))
    text = _without_postamble(_from_announcement(text))
    text = _LABEL.sub("", _QUOTE_MARK.sub("", text))
    text = _without_list_marks(text)
    text = _without_directions(text)
    text = _EMOJI.sub("", text)
    text = _REPEATED.sub(r"\1", _tidy(text))
    text = _unquoted(text)
    return _tidy(_unquoted(_without_postamble(text)))


def clean_dialogue(raw: str, speakers: Sequence[str], colon: str) -> str:
    """The turns of two speakers, a line each, names as they are given; a text without turns is cleaned as any other.

    What stands before the first turn is a greeting or a heading: models do not let anybody speak before they say who.
    """
    text = _without_thoughts(raw.replace("\r\n", "\n").replace("\r", "\n"))
    turns = turns_of(text, speakers, leading=False)
    if not turns:
        return clean_script(raw)
    cleaned = [(speakers[turn.speaker], " ".join(clean_script(turn.text).split("\n"))) for turn in turns]
    return "\n".join(f"{name}{colon}{said}" for name, said in cleaned if any(char.isalnum() for char in said))


def _unless_empty(before: str, after: str) -> str:
    """A rule that would leave nothing has taken the text for its frame."""
    return after if any(char.isalnum() for char in after) else before


def _without_thoughts(text: str) -> str:
    """Thoughts come first; some templates open them unseen, others are cut off in the middle of one."""
    lower = text.lower()
    if CLOSE in lower:
        text = text[lower.rindex(CLOSE) + len(CLOSE) :]
        lower = text.lower()
    return text[: lower.index(OPEN)] if OPEN in lower else text


def _from_announcement(text: str) -> str:
    found = _ANNOUNCEMENT.search(text, 0, _ANNOUNCED_WITHIN)
    return _unless_empty(text, text[found.end() :]) if found else text


def _without_postamble(text: str) -> str:
    while True:
        cut = _unless_empty(text, _REVISION.sub("", _POSTAMBLE.sub("", text.rstrip())))
        if cut == text:
            return text
        text = cut


def _without_list_marks(text: str) -> str:
    text = _BULLET.sub("", text)
    # One line that begins with a number may be a sentence ("3. Oktober"); two are a list.
    return _NUMBER.sub("", text) if len(_NUMBER.findall(text)) > 1 else text


def _without_directions(text: str) -> str:
    def judge(match: re.Match[str]) -> str:
        whole = match.group()
        inner = whole[1:-1]
        if _OWN_MARK.match(whole):
            return whole
        alone = _stands_alone(text, match.start())
        if _CLOCK.match(inner) or (alone and _DIRECTION.search(inner)):
            return " "
        begin = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        around = text[begin : match.start()] + text[match.end() : end if end >= 0 else len(text)]
        return " " if whole[0] in "[【" and not around.strip() else whole

    def starred(match: re.Match[str]) -> str:
        alone = _stands_alone(text, match.start())
        return " " if alone and _DIRECTION.search(match[1]) else match[1]

    text = _BRACKETED.sub(judge, text)
    return _STARRED.sub(starred, text)


def _stands_alone(text: str, at: int) -> bool:
    while at > 0 and text[at - 1] in " \t":
        at -= 1
    return at == 0 or text[at - 1] in _ENDS


def _unquoted(text: str) -> str:
    """Without quotes around the whole, when they are one pair."""
    for left, right in _QUOTES:
        inner = text[1:-1]
        if (
            len(text) > 2
            and text[0] == left
            and text[-1] == right
            and left not in inner
            and right not in inner
        ):
            return inner.strip()
    return text


def _tidy(text: str) -> str:
    text = re.sub(r"[ \t\u00a0]+", " ", text)
    text = re.sub(r" *\n *", "\n", text)
    # A space that a direction or an emoji has left before a mark.
    text = re.sub(r" +(?=[,.!?;:，。！？；：、…])", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def cut_to(text: str, length: int) -> str:
    """At most `length` characters, whole sentences if there is at least one."""
    if len(text) <= length:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text[: length + 1]) if match.end() <= length]
    if ends:
        return text[: ends[-1]].strip()
    # No sentence ends: a word or, where there are no spaces, a character.
    kept = text[: length + 1]
    return (kept.rpartition(" ")[0] or text[:length]).strip()


def whole_sentences(text: str) -> str:
    """Without the sentence that was cut off at the end, when what is left is most of the text."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].strip() if ends and ends[-1] >= len(text) * 0.5 else text
