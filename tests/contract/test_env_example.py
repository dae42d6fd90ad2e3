"""`.env.example` lists every setting of `backend.utils.config`, with its default, in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.utils.config import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"


def _entries() -> dict[str, tuple[str, list[str]]]:
    """Name -> (value, comment lines right above it)."""
    found: dict[str, tuple[str, list[str]]] = {}
    comments: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comments.append(line)
        elif "=" in line:
            name, _, value = line.partition("=")
            assert name not in found, f"{name} is listed twice"
            found[name] = (value, comments)
            comments = []
        else:
            assert line == "", f"neither a comment nor a setting: {line!r}"
            comments = []
    return found


def test_the_example_lists_exactly_the_settings_in_their_order() -> None:
    assert list(_entries()) == [name.upper() for name in Settings.model_fields]


def test_a_copy_of_the_example_changes_no_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)

    from_example = load_settings(EXAMPLE)
    defaults = load_settings(tmp_path / "absent.env")

    assert from_example == defaults
    # Equality alone would also hold for a file that is not read at all.
    changed = tmp_path / "changed.env"
    changed.write_text(
        EXAMPLE.read_text(encoding="utf-8").replace("PORT=8000", "PORT=8123"), encoding="utf-8"
    )
    assert load_settings(changed).port == 8123


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_every_setting_is_explained_in_english_and_chinese(name: str) -> None:
    _, comments = _entries()[name]
    text = "\n".join(comments)
    assert len(comments) >= 2, f"{name} needs a comment in both languages"
    assert re.search(r"[A-Za-z]{4}", text), f"{name} has no English comment"
    assert re.search(r"[\u4e00-\u9fff]{2}", text), f"{name} has no Chinese comment"
