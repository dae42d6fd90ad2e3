"""What a person writes reaches the model as words; upstream's template language never sees its signs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.wan2gp.plain_prompt import plain_prompt


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("A calm studio", "A calm studio"),
        ("一位女士\r\n在说话\r再见", "一位女士\n在说话\n再见"),
        ("# not a comment", "not a comment"),
        ("  !#! no macro!", "no macro!"),
        ("a {mood} room", "a (mood) room"),
        ("[/new_shot] then [ / / cut]", "[new_shot] then [cut]"),
        ("first\n\n \nsecond", "first\nsecond"),
        ("number #1 and 5/6", "number #1 and 5/6"),
        ("#!PROMPT!: x", "PROMPT!: x"),
        ("", ""),
        (" \n#\n!!", ""),
    ],
)
def test_signs_become_what_a_reader_takes_for_the_same(written: str, plain: str) -> None:
    assert plain_prompt(written) == plain


@given(st.text(alphabet=st.sampled_from("ab #!{}[]/\n\r\t你"), max_size=60))
def test_nothing_that_upstream_takes_for_markup_is_left(text: str) -> None:
    plain = plain_prompt(text)
    assert plain_prompt(plain) == plain
    assert "{" not in plain
    assert "}" not in plain
    for line in plain.split("\n"):
        assert not line.lstrip().startswith(("#", "!"))
        assert "[/" not in "".join(line.split())
