"""Text can be read on every surface it stands on, in the light and the dark theme (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re

import pytest

from tests.unit.webui.page_files import WEBUI, code_of

# Text colour and the surfaces behind it, as the style sheets pair them.
TEXT_PAIRS = [
    ("ink", "bg"),
    ("ink", "surface"),
    ("ink", "sunken"),
    ("ink-soft", "bg"),
    ("ink-soft", "surface"),
    ("ink-soft", "sunken"),
    ("ink-soft", "stage-bg"),
    ("accent", "surface"),
    ("accent", "bg"),
    ("accent-ink", "accent"),
    ("accent-ink", "accent-strong"),
    ("accent-soft-ink", "accent-soft"),
    ("fallback-ink", "fallback-bg"),
    ("fallback-ink", "surface"),
    ("draft-ink", "draft-bg"),
    ("error-ink", "error-bg"),
    ("error", "surface"),
    ("rail-ink", "rail"),
    ("rail-soft", "rail"),
    ("rail-ink", "rail-raised"),
    ("rail-soft", "rail-raised"),
    ("surface", "error"),
    ("ok", "ok-bg"),
]
# Outlines of controls and marks that carry a meaning (WCAG 2.2, 1.4.11).
MARK_PAIRS = [
    ("control-line", "surface"),
    ("control-line", "sunken"),
    ("accent", "surface"),
    ("accent", "accent-soft"),
    ("spark", "rail"),
    ("spark", "rail-raised"),
]
MIN_TEXT = 4.5
MIN_MARK = 3.0

# The page sets this attribute for who prefers a dark theme, and for who chose it.
DARK = ':root[data-theme="dark"]'
_COLOUR = re.compile(r"--([\w-]+):\s*#([0-9a-f]{6});")


def _themes() -> dict[str, dict[str, str]]:
    light, dark = code_of(WEBUI / "css" / "tokens.css").split(DARK)
    base = dict(_COLOUR.findall(light))
    return {"light": base, "dark": {**base, **dict(_COLOUR.findall(dark))}}


THEMES = _themes()


def _luminance(colour: str) -> float:
    """Relative luminance of `rrggbb` as WCAG defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    brighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", sorted(THEMES))
@pytest.mark.parametrize(("text", "surface"), TEXT_PAIRS)
def test_text_has_enough_contrast(theme: str, text: str, surface: str) -> None:
    assert _contrast(THEMES[theme][text], THEMES[theme][surface]) >= MIN_TEXT


@pytest.mark.parametrize("theme", sorted(THEMES))
@pytest.mark.parametrize(("mark", "surface"), MARK_PAIRS)
def test_marks_have_enough_contrast(theme: str, mark: str, surface: str) -> None:
    assert _contrast(THEMES[theme][mark], THEMES[theme][surface]) >= MIN_MARK


def test_the_dark_theme_redefines_every_colour() -> None:
    light, dark = code_of(WEBUI / "css" / "tokens.css").split(DARK)
    assert {name for name, _ in _COLOUR.findall(light)} == {name for name, _ in _COLOUR.findall(dark)}
