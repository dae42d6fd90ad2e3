"""Titles become names that every system takes, and no two meet."""

from __future__ import annotations

import pytest

from backend.utils.file_names import MAX_STEM_BYTES, safe_name, safe_stem, unique_stems


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("六月公告", "六月公告"), ("a/b\\c:d", "a_b_c_d"), ("../../etc", "_.._etc"), ("...", "video"), ("", "video"),
        ("CON", "_CON"), ("nul.tar", "_nul.tar"), ("console", "console"), ("a\nb\u202egpj", "a_b_gpj"), ("x" * 300, "x" * 100),
        ("y" * 99 + "  z", "y" * 99), ("字" * 100, "字" * 66), ("🙂" * 60, "🙂" * 50),
    ],
)  # fmt: skip
def test_a_title_becomes_a_name(title: str, stem: str) -> None:
    assert safe_stem(title) == stem


def test_a_name_of_long_characters_has_room_for_its_number_and_its_ending() -> None:
    names = unique_stems(["字" * 300, "字" * 200])
    assert all(len(name.removesuffix(" (2)").encode()) <= MAX_STEM_BYTES for name in names)
    assert [len(f"{name}.provenance.json".encode()) <= 255 for name in names] == [True, True]
    assert len(safe_name("字" * 300 + ".provenance.json").encode()) <= 255


def test_an_ending_stays() -> None:
    assert safe_name("a.b/c.mp4") == "a.b_c.mp4"
    assert safe_name("CON.wav") == "_CON.wav"


def test_names_that_would_meet_are_told_apart_also_without_case() -> None:
    assert unique_stems(["News", "news", "News", "news (2)", "", ""]) == [
        *("News", "news (2)", "News (3)", "news (2) (2)", "video", "video (2)")
    ]
