"""What leaves the log files holds no key, no password and no folder of this person."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import cast

import pytest

from backend.utils.redact import Redactor

PLAIN = Redactor(folders={})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key aio_0123456789abcdef0123456789abcdef01234567 shown", "key aio_*** shown"),
        ("HF_TOKEN hf_abcdefghijklmnop", "HF_TOKEN hf_***"),
        ("using sk-proj-abcdef123456", "using sk-***"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: *** ***"),
        ('{"api_key": "very-private", "x": 1}', '{"api_key": "***", "x": 1}'),
        ("password=hunter2;", "password=***;"),
        ("proxy http://me:hunter2@10.0.0.1:3128 refused", "proxy http://***@10.0.0.1:3128 refused"),
        ("GET https://cdn.example/f.bin?X-Sign=abc&e=1 403", "GET https://cdn.example/f.bin?*** 403"),
        ("proxy a.b-c://me:hunter2@10.0.0.1", "proxy a.b-c://***@10.0.0.1"),
        ("git+https://" + "x" * 300 + "@10.0.0.1/a", "git+https://***@10.0.0.1/a"),
        (
            "GET https://a.example/x?k=1 and https://b.example/y 200",
            "GET https://a.example/x?*** and https://b.example/y 200",
        ),
        ("mail to someone@example.org now", "mail to *** now"),
        ("mail <some.one+tag@mail.example.org>.", "mail <***>."),
        ("a@b@example.org", "a@***"),
        (r"cannot open C:\Users\小美\Videos\a.mp4", r"cannot open ~\Videos\a.mp4"),
        ("cannot open /home/mei/a.mp4", "cannot open ~/a.mp4"),
        ("cannot open /Users/mei/a.mp4", "cannot open ~/a.mp4"),
        ("the token: it is a word of 3 letters", "the token: *** is a word of 3 letters"),
        ("128 tokens a second, step 3/20", "128 tokens a second, step 3/20"),
        ("GET https://example.org/a 200", "GET https://example.org/a 200"),
    ],
)
def test_what_looks_like_a_secret_or_a_home_is_taken_out(text: str, told: str) -> None:
    assert PLAIN.clean(text) == told


def test_folders_are_told_by_their_words_the_inner_one_first(tmp_path: Path) -> None:
    redactor = Redactor(folders={tmp_path: "~", tmp_path / "app" / "data": "data"})
    text = f"open {tmp_path}/app/data/work/x and {tmp_path}/other"
    assert redactor.clean(text) == "open data/work/x and ~/other"


def test_a_windows_folder_is_found_with_every_kind_of_slash_and_in_any_case() -> None:
    class Drive(PureWindowsPath):
        pass

    folder = cast(Path, Drive(r"D:\Studio\data"))
    redactor = Redactor(folders={folder: "data"})
    for text in (r"D:\Studio\data\a", "D:/Studio/data/a", r"'d:\\studio\\data\\a'"):
        assert "tudio" not in redactor.clean(text)


def test_a_root_stands_for_nothing() -> None:
    assert Redactor(folders={cast(Path, PurePosixPath("/")): "~"}).clean("a/b /c") == "a/b /c"


def test_values_that_are_known_are_taken_out_wherever_they_stand_and_short_ones_are_not() -> None:
    redactor = Redactor(folders={}, secrets=["correct horse", None, "", "ab"])
    assert redactor.clean("it was correct horse, ab") == "it was ***, ab"


JUNK = [
    "a.",
    "a-",
    "a@",
    "a@a.-",
    "[::1]",
    "http://",
    "https://a/",
    "a://",
    "token ",
    "bearer ",
    "/home/",
    "c:\\users\\",
]
# A pattern that reads to the end of the line from every place in it would take minutes here.
JUNK_CHARS = 240_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("junk", JUNK)
def test_a_long_line_of_anything_is_cleaned_in_proportion_to_its_length(junk: str) -> None:
    redactor = Redactor(folders={Path("/srv/studio/data"): "data"}, secrets=["correct horse"])
    text = junk * (JUNK_CHARS // len(junk))
    secrets = "http://me:hunter2@10.0.0.1 correct horse someone@example.org /srv/studio/data"
    told = redactor.clean(f"{secrets} {text} {secrets}")
    for secret in ("hunter2", "correct horse", "someone", "/srv/studio"):
        assert secret not in told


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", [" ", "-", ".", "a", "/", "\\", "@"])
@pytest.mark.parametrize("head", ["bearer", "token", "c:", "c:/users", "x@a.", "a@", "http://", "https://a?"])
def test_a_long_run_after_the_beginning_of_a_secret_is_no_trap(head: str, run: str) -> None:
    told = PLAIN.clean(f"{head}{run * JUNK_CHARS} password=hunter2")
    assert "hunter2" not in told
