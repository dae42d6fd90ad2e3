"""Which paths may be touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.storage.paths import check_rel_path, resolve_below, resolve_user_path

HOSTILE = [
    "", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//server/share/x", "\\\\host\\share", "..\\x", "C:evil",
    "C:/windows/win.ini", "c:\\x", "a//b", "a/./b", "a/", "con", "NUL", "aux.txt", "uploads/COM1.png", "LPT¹", "a\0b",
    "a\nb", "trailing.", "trailing ", " leading", "a/b /c", "a:b", "a|b", "a?b", "a*b", 'a"b', "<a>", "x" * 241,
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_is_not_plain_is_refused(tmp_path: Path, path: str) -> None:
    for attempt in (lambda: check_rel_path(path), lambda: resolve_below(tmp_path, path)):
        with pytest.raises(RequestError) as caught:
            attempt()
        assert caught.value.code is ErrorCode.VALIDATION_FAILED
        assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize(
    "path", ["a", "uploads/file_1.png", "outputs/job_1/我的视频.mp4", "a b/c-d_e.f", "console", "...x"]
)
def test_a_plain_path_is_taken_as_it_is(tmp_path: Path, path: str) -> None:
    assert check_rel_path(path) == path
    assert resolve_below(tmp_path, path) == tmp_path.resolve() / path


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    (root / "out").symlink_to(outside)
    (root / "file-out").symlink_to(outside / "secret")
    (root / "real").mkdir()
    (root / "in").symlink_to(root / "real")
    for path in ("out/secret", "file-out", "out"):
        with pytest.raises(RequestError):
            resolve_below(root, path)
    assert resolve_below(root, "in/x") == (root / "real" / "x").resolve()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "uploads"
    (folder / "sub").mkdir(parents=True)
    (folder / "me.jpg").write_text("x")
    (folder / "sub" / "她.png").write_text("x")
    (tmp_path / "data" / "sqlite.db").write_text("x")
    (tmp_path / ".env").write_text("x")
    return folder


def test_a_picture_in_uploads_may_be_named_in_every_usual_way(uploads: Path) -> None:
    names = ["me.jpg", "./me.jpg", "uploads/me.jpg", "data/uploads/me.jpg", "./data/uploads/me.jpg"]
    names += ["data\\uploads\\me.jpg", " me.jpg ", str(uploads / "me.jpg")]
    for name in names:
        assert resolve_user_path(uploads, name) == (uploads / "me.jpg").resolve(), name
    assert resolve_user_path(uploads, "sub/她.png").name == "她.png"


def test_what_lies_outside_uploads_is_refused_alike_whether_it_exists_or_not(uploads: Path) -> None:
    data = uploads.parent
    (uploads / "link.jpg").symlink_to(data / "sqlite.db")
    pairs = [
        (str(data / "sqlite.db"), str(data / "nothing.db")),
        ("../sqlite.db", "../nothing.db"),
        ("data/uploads/../sqlite.db", "data/uploads/../nothing.db"),
        ("/etc/passwd", "/etc/nothing"),
        ("link.jpg", "C:\\windows\\win.ini"),
        (str(data.parent / ".env"), str(data.parent / ".nothing")),
        (f"{uploads}/../../.env", f"{uploads}/../../.nothing"),
    ]
    for pair in pairs:
        answers = []
        for name in pair:
            with pytest.raises(RequestError) as caught:
                resolve_user_path(uploads, name)
            assert caught.value.code is ErrorCode.VALIDATION_FAILED
            assert str(data) not in caught.value.detail
            answers.append(caught.value.detail)
        if pair[0] != "link.jpg":
            assert answers[0] == answers[1]
    for missing in ("nothing.jpg", "sub", ""):
        with pytest.raises(RequestError):
            resolve_user_path(uploads, missing)
