"""What a chat model says becomes what a person reads aloud, and what belongs to the text stays."""

from __future__ import annotations

import pytest

from backend.services.script_cleaner import ThoughtFilter, clean_script, cut_to, whole_sentences

TEA = "Tea is a quiet drink. It asks for time, and gives it back."
CHA = "茶是一种安静的饮料。它要你花时间，也会把时间还给你。"
JA = "お茶は静かな飲み物です。時間をかけるほど、味わいが深くなります。"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        # thoughts
        (f"<think>The user wants tea.\n\nOkay.</think>\n\n{TEA}", TEA),
        (f"<THINK>x</THINK>{TEA}", TEA),
        (f"Okay, tea.\n</think>\n{TEA}", TEA),
        ("<think>I never came to an end", ""),
        (f"{TEA}<|im_end|>", TEA),
        # frames around the text
        (f"Sure! Here is a 30-second script about tea:\n\n{TEA}", TEA),
        (f"Sure, here's the script:\n{TEA}", TEA),
        (
            f"Certainly! Below is a short text for your video:\n\n---\n\n{TEA}\n\n---\n\nLet me know if it fits!",
            TEA,
        ),
        (f"Of course!\n\n{TEA}", TEA),
        (f"Here is your script: {TEA}", TEA),
        (f"{TEA}\n\nI hope this helps!", TEA),
        (f"{TEA}\n\n(Word count: 12)", TEA),
        (f"{TEA}\n\n*Word count: 12 words*", TEA),
        (f"{TEA}\n\nNote: this takes about 30 seconds.\n\nWould you like another one?", TEA),
        (f"好的，以下是关于茶的口播稿：\n\n{CHA}", CHA),
        (f"当然可以！下面是一段30秒的口播文案：\n\n{CHA}\n\n（全文共24字）", CHA),
        (f"{CHA}\n\n希望这对你有帮助！", CHA),
        (f"{CHA}\n\n如果需要修改，请告诉我。", CHA),
        (f"はい、以下は30秒の台本です：\n\n{JA}", JA),
        (f"承知しました。以下が原稿です。\n\n{JA}", JA),
        (f"I will make it more concise.\n\nHere is the edited text:\n\n{TEA}", TEA),
        (f"{TEA}\n\nI removed unnecessary words and condensed the information.", TEA),
        (f"{TEA}\n\nI added commas to separate each sentence.\n\nI hope you like it!", TEA),
        (f"我明白您的需求。\n\n以下是修改后的口播稿：\n\n{CHA}", CHA),
        # markup
        (f"# The Magic of Tea\n\n{TEA}", TEA),
        (f"**The Magic of Tea**\n\n{TEA}", TEA),
        (f"Title: The Magic of Tea\n{TEA}", TEA),
        (f"标题：茶\n{CHA}", CHA),
        ("Tea is a **quiet** drink, and `green` tea __too__.", "Tea is a quiet drink, and green tea too."),
        ("It is *really* quiet.", "It is really quiet."),
        (f"```\n{TEA}\n```", TEA),
        ("See [the garden](https://example.org/tea) today.", "See the garden today."),
        ("- Boil water.\n- Wait.\n- Drink.", "Boil water.\nWait.\nDrink."),
        ("1. Boil water.\n2. Wait.", "Boil water.\nWait."),
        ("1、烧水。\n2、等待。", "烧水。\n等待。"),
        (f"> {TEA}", TEA),
        ("Tea.<br>Water.", "Tea. Water."),
        # quotes around it all
        (f'"{TEA}"', TEA),
        (f"“{TEA}”", TEA),
        (f"「{CHA}」", CHA),
        # going round in circles
        (
            f"{TEA} It is a drink for everybody in the world. "
            + "It is a drink for everybody in the world. " * 5,
            f"{TEA} It is a drink for everybody in the world.",
        ),
        (
            "喝茶可以让人在忙碌的一天里安静下来，也让人在夜晚睡得更好。" * 4,
            "喝茶可以让人在忙碌的一天里安静下来，也让人在夜晚睡得更好。",
        ),
        # directions, labels, pictures
        (f"(Upbeat music plays)\n{TEA}", TEA),
        (f"[Scene: a kitchen]\n{TEA}\n[End of script]", TEA),
        (f"[INTRO]\n{TEA}", TEA),
        ("*smiles* Tea is a drink.", "Tea is a drink."),
        ("Tea. (pause) It is good.", "Tea. It is good."),
        (f"【开场音乐】\n{CHA}", CHA),
        (f"（微笑）{CHA}", CHA),
        (f"Narrator: {TEA}", TEA),
        (f"**Host:** {TEA}", TEA),
        (f"旁白：{CHA}", CHA),
        (f"主持人（微笑）：{CHA}", CHA),
        (f"ナレーター：{JA}", JA),
        ("[0:00-0:05] Tea is a drink.", "Tea is a drink."),
        ("Tea is great! 🍵✨ Try it 👩‍🍳.", "Tea is great! Try it."),
        ("喝茶吧🍵！", "喝茶吧！"),
        ("\ud800Tea\x00 is\x07 good.", "Tea is good."),
    ],
)
def test_what_is_not_read_aloud_is_taken_away(said: str, text: str) -> None:
    assert clean_script(said) == text


@pytest.mark.parametrize(
    "text",
    [
        TEA,
        CHA,
        JA,
        "Here is the sun, and here is the sea. Both are free.",
        "Sure as the sun rises, tea is ready at six.",
        "Of course you know tea. Everybody does.",
        "Okay, let us begin with water.",
        "First, boil the water.\n\nThen I removed the lid and added the leaves.",
        "I changed my life with one cup.\n\nI added sugar, and it was good.",
        "He said: “Tea is ready.” And it was.",
        '"Tea," she said, "is ready."',
        "「お茶」と「コーヒー」",
        "Music (also called sound) is everywhere.",
        "贝多芬（音乐家）出生于1770年。",
        "The answer is 3 * 4 = 12, not 2 * 5.",
        "3.5 percent of people drink no tea.",
        "1990 was a good year.\nSo was 1991.",
        "Prices rose by 5 %: from 2 € to 2.10 €.",
        "Take a breath. [pause 0.5s] Go on.",
        "慢慢来。[停顿0.5秒]再说一遍。",
        "他长[zhang3]大了。",
        "The temperature was -5 °C – cold, isn't it?",
        "Note that tea grows in the mountains. Let me know what you think. It matters.",
        "以下是今天的重点。第一，喝水。第二，休息。",
        "The hashtag #tea is popular. Issue #5 is not.",
        "Use snake_case_names and __init__ files.".replace("__init__", "init"),
        "a < b and b > a",
        "Row, row, row your boat. Row, row, row your boat.",
        "喝茶吧。喝茶吧。喝茶吧。",
        "First paragraph.\n\nSecond paragraph.",
    ],
)
def test_what_belongs_to_the_text_stays(text: str) -> None:
    assert clean_script(text) == text


def test_a_text_that_looks_like_its_own_frame_is_kept() -> None:
    assert clean_script("# Tea is good") == "Tea is good"
    assert clean_script("**Drink tea.**") == "Drink tea."
    assert clean_script("Here is the script:") == "Here is the script:"


@pytest.mark.parametrize("said", ["", " \n", "🍵", "<think></think>", "---", "\x00"])
def test_nothing_stays_nothing(said: str) -> None:
    assert not any(char.isalnum() for char in clean_script(said))


@pytest.mark.parametrize(
    "said",
    [
        "<think>" * 9000,
        "*" * 60_000,
        "(" * 60_000,
        "**a" * 20_000,
        "[" * 30_000 + "]" * 30_000,
        "`" * 60_000,
        "Sure " * 12_000,
        " \n" * 30_000,
        "好的，以下" * 12_000,
        "a:" * 30_000,
        "![x](http://" * 5000,
        "a" * 60_000,
        "abcdefghijklmnopqrstuvwxyz" * 2000 + ".",
        ("x" * 299 + ".") * 200,
        ("word " * 50 + "y. ") * 200,
    ],
)
def test_an_answer_made_to_keep_the_patterns_busy_is_cleaned_like_any_other(said: str) -> None:
    # Not a measurement: a pattern that backtracks would run into the test's own time limit.
    assert len(clean_script(said)) <= len(said)


def test_thoughts_are_left_out_however_the_pieces_are_cut() -> None:
    said = "<think>secret <b> </thin k</think>Tea < coffee, <thin>"
    for size in range(1, 12):
        filtering = ThoughtFilter()
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        shown = "".join(map(filtering.feed, pieces)) + filtering.rest()
        assert shown == "Tea < coffee, <thin>", size


def test_an_unended_thought_shows_nothing() -> None:
    filtering = ThoughtFilter()
    assert filtering.feed("Hi <think>a</thi") + filtering.rest() == "Hi "


@pytest.mark.parametrize(
    ("text", "length", "cut"),
    [
        ("One. Two. Three.", 10, "One. Two."),
        ("One. Two. Three.", 100, "One. Two. Three."),
        ("一。二。三。", 4, "一。二。"),
        ("He said “Go.” Then left.", 15, "He said “Go.”"),
        ("word word word", 9, "word word"),
        ("没有句号的文字", 3, "没有句"),
    ],
)
def test_a_cut_keeps_whole_sentences(text: str, length: int, cut: str) -> None:
    assert cut_to(text, length) == cut


def test_the_last_half_sentence_goes_when_the_rest_is_most_of_it() -> None:
    assert whole_sentences("One. Two. Thr") == "One. Two."
    assert (
        whole_sentences("One. A very long sentence without an end")
        == "One. A very long sentence without an end"
    )
