"""A script of two speakers is cut into turns, and nothing else in it is taken for a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.services.script_cleaner import clean_dialogue
from backend.services.script_prompts import first_request
from backend.services.script_turns import Turn, silent_speakers, turns_of, without_names

NAMES = ("Anna", "小明")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("Anna: Hi.\n小明：你好。", [Turn(0, "Hi."), Turn(1, "你好。")]),
        ("ANNA：Hi.\n  小明 : 你好。", [Turn(0, "Hi."), Turn(1, "你好。")]),
        ("Ａｎｎａ: Hi.", [Turn(0, "Hi.")]),
        ("**Anna:** Hi.\n**小明**：你好。", [Turn(0, "Hi."), Turn(1, "你好。")]),
        ("Welcome.\n小明: 你好。", [Turn(0, "Welcome."), Turn(1, "你好。")]),
        ("小明: 你好。\nNote: it is 10:30.\nBye", [Turn(1, "你好。\nNote: it is 10:30.\nBye")]),
        ("Anna: One.\n\nAnna: Two.", [Turn(0, "One.\nTwo.")]),
        ("Anna: Hi.\r\n小明：嗯。\rAnna: So.", [Turn(0, "Hi."), Turn(1, "嗯。"), Turn(0, "So.")]),
        ("Anna: …\n小明: !", []),
        ("Anna, who: is this?", [Turn(0, "Anna, who: is this?")]),
        ("He said Anna: no.", [Turn(0, "He said Anna: no.")]),
    ],
)
def test_lines_that_begin_with_a_name_begin_a_turn(script: str, expected: list[Turn]) -> None:
    assert turns_of(script, NAMES) == expected


def test_who_is_never_named_has_nothing_to_say() -> None:
    assert silent_speakers("Hello.", NAMES) == [1]
    assert silent_speakers("小明: 你好。", NAMES) == [0]
    assert silent_speakers("Anna: a\n小明: b", NAMES) == []
    assert silent_speakers("anything", ()) == []


@given(
    st.lists(st.sampled_from(["Anna", "小明", ":", "：", "\n", " ", "**", "x", "\r\n"]), max_size=40).map(
        "".join
    )
)
def test_names_become_spaces_and_every_other_character_keeps_its_place(script: str) -> None:
    blank = without_names(script, NAMES)
    assert len(blank) == len(script)
    assert all(there in (" ", char) for there, char in zip(blank, script, strict=True))
    # What is left is what the turns say.
    said = "".join("".join(turn.text.split()) for turn in turns_of(script, NAMES))
    kept = "".join(blank.split())
    assert all(char in kept for char in said)


def test_an_answer_of_a_model_becomes_turns_without_greeting_and_markup() -> None:
    raw = (
        "<think>Anna: hm</think>Sure! Here is a dialogue about tea:\n\n**Title**\n\n**Anna:** Hello! 😊\n\n"
        "**小明：**\n(smiles) Hi.\nTea?\n\nAnna: Yes.\n\nLet me know if you want changes!"
    )
    assert clean_dialogue(raw, NAMES, ": ") == "Anna: Hello!\n小明: Hi. Tea?\nAnna: Yes."
    assert clean_dialogue("Only one voice here.", NAMES, ": ") == "Only one voice here."


@pytest.mark.parametrize("language", ["en", "zh", "ja"])
def test_a_conversation_is_asked_for_by_names_and_a_monologue_is_not(language: str) -> None:
    options = {"language": language, "style": "", "seconds": 30, "characters": 100}
    alone = first_request("tea", **options)[0]["content"]  # type: ignore[arg-type]
    both = first_request("tea", **options, speakers=NAMES)[0]["content"]  # type: ignore[arg-type]
    for name in NAMES:
        assert both.count(name) == 1
        assert name not in alone
    # Everything that speaks of one voice was replaced.
    one = {
        "en": ("one person", "no speaker names"),
        "zh": ("一个人", "不要说话人名字"),
        "ja": ("一人の話し手", "話者名"),
    }
    for words in one[language]:
        assert words in alone
        assert words not in both
