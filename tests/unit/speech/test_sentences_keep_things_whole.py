"""No cut goes through a number, a date, a telephone number or an address, wherever it stands and however long the text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.speech.text.sentences import split_sentences

_HAN = st.text(alphabet="今天我们来看一个新的产品它非常好用", min_size=1, max_size=30)
_LATIN = st.lists(
    st.sampled_from(["this", "is", "the", "new", "one", "and", "it", "works"]), min_size=1, max_size=12
)
_THINGS = st.one_of(
    st.from_regex(r"[1-9][0-9]{0,2}(,[0-9]{3}){1,3}(\.[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}\.[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"(19|20)[0-9]{2}[-/.](0[1-9]|1[0-2])[-/.](0[1-9]|[12][0-9])", fullmatch=True),
    st.from_regex(r"(19|20)[0-9]{2}年1[0-2]月[12][0-9]日", fullmatch=True),
    st.from_regex(r"1[3-9][0-9]-[0-9]{4}-[0-9]{4}", fullmatch=True),
    st.from_regex(r"\+1-[2-9][0-9]{2}-[0-9]{3}-[0-9]{4}", fullmatch=True),
    st.from_regex(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?", fullmatch=True),
    st.from_regex(r"[a-z]{2,8}@[a-z]{2,8}\.(com|org|cn)", fullmatch=True),
    st.from_regex(r"https://[a-z]{2,8}\.(com|cn)/[a-z]{1,6},[a-z]{1,6}(\?[a-z]=[0-9])?", fullmatch=True),
    st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}", fullmatch=True),
    st.from_regex(r"[$¥][0-9]{1,3},[0-9]{3}\.[0-9]{2}", fullmatch=True),
)


def _whole(text: str, places: list[tuple[int, int]]) -> None:
    inside = {place for start, end in places for place in range(start + 1, end)}
    for sentence in split_sentences(text):
        assert sentence.start not in inside, text[sentence.start - 10 : sentence.start + 10]
        assert sentence.end not in inside, text[sentence.end - 10 : sentence.end + 10]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(_HAN, _THINGS), min_size=1, max_size=24), st.sampled_from(["，", "", "。", "、"]))
def test_in_chinese(pieces: list[tuple[str, str]], mark: str) -> None:
    text, places = "", []
    for prose, thing in pieces:
        text += prose
        places.append((len(text), len(text) + len(thing)))
        text += thing + (mark or "看")
    _whole(text, places)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(_LATIN, _THINGS), min_size=1, max_size=24), st.sampled_from([", ", " ", ". ", "; "])
)
def test_in_english(pieces: list[tuple[list[str], str]], mark: str) -> None:
    text, places = "", []
    for words, thing in pieces:
        text += " ".join(words) + " "
        places.append((len(text), len(text) + len(thing)))
        text += thing + mark
    _whole(text, places)
