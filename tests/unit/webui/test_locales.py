"""Chinese and English say the same things, and say everything that the page can show."""

from __future__ import annotations

import re

import pytest

from backend.models.codes import ErrorCode, JobStatus, StageName, StageState
from tests.unit.webui.page_files import LOCALES, SCRIPTS, WEBUI, Page, code_of, table_of

TABLES = {name: table_of(path) for name, path in LOCALES.items()}
ENGLISH, CHINESE = TABLES["en"], TABLES["zh-CN"]

# Keys that scripts build from a word: the prefix in the script, and every word that can follow.
COMPUTED = {
    "status.": {str(status) for status in JobStatus},
    "stage.": {str(stage) for stage in StageName},
    "stage_state.": {str(state) for state in StageState},
    "error.": {str(code) for code in ErrorCode}
    | {"unknown", "offline", "no_answer", "bad_answer", "page_error"},
    "hint.": {"offline", "no_answer", "bad_answer", "page_error"},
    "engine.state_": {"READY", "STARTING", "BUSY", "NOT_INSTALLED", "UNAVAILABLE"},
    "engine.kind_": {"gpu", "cpu", "plugin"},
    "connection.": {"live", "polling", "offline"},
    "language.": {"auto", "zh", "en", "ja"},
    "voices.": {"female", "male"},
    "voices.group_": {"zh", "en", "ja", "own"},
    "script.example_": {"zh", "en", "ja"},
}

_KEY = re.compile(r"""["'`]([a-z_]+\.[a-z_A-Z0-9]+)["'`]""")
_COMPUTED_KEY = re.compile(r"`([a-z_]+\.(?:[a-z]+_)?)\$\{")


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def _written_keys() -> set[str]:
    """Keys that stand in the page or in a script as a plain string."""
    namespaces = {key.split(".")[0] for key in ENGLISH}
    found = {
        key for path in SCRIPTS for key in _KEY.findall(code_of(path)) if key.split(".")[0] in namespaces
    }
    for _, attributes in Page().tags:
        found |= {value for name, value in attributes.items() if name.startswith("data-i18n") and value}
    return found


def _computed_keys() -> set[str]:
    return {prefix + word for prefix, words in COMPUTED.items() for word in words}


def test_both_languages_have_exactly_the_same_keys() -> None:
    assert set(TABLES) == {"en", "zh-CN"}
    assert ENGLISH.keys() == CHINESE.keys()


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_text_is_empty(name: str) -> None:
    assert not [key for key, text in TABLES[name].items() if not text.strip(" ")]


def test_translations_use_the_same_placeholders() -> None:
    differing = [key for key in ENGLISH if _placeholders(ENGLISH[key]) != _placeholders(CHINESE[key])]
    assert not differing


def test_every_key_that_the_page_uses_exists() -> None:
    assert not _written_keys() - ENGLISH.keys()


def test_every_key_that_scripts_build_exists() -> None:
    assert not _computed_keys() - ENGLISH.keys()


def test_scripts_build_keys_only_from_the_prefixes_known_here() -> None:
    prefixes = {prefix for path in SCRIPTS for prefix in _COMPUTED_KEY.findall(code_of(path))}
    assert prefixes <= COMPUTED.keys()


def test_no_text_is_left_over() -> None:
    assert not ENGLISH.keys() - _written_keys() - _computed_keys()


def test_chinese_is_translated() -> None:
    """Texts without a Chinese character are names, numbers, or samples of another language."""
    untranslated = {key for key, text in CHINESE.items() if not re.search(r"[\u4e00-\u9fff：、，]", text)}
    same_everywhere = {
        "app.name",
        "script.example_en",
        "options.aspect_square",
        "options.aspect_tall",
        "options.aspect_wide",
        "options.resolution_512",
        "options.resolution_720",
        "result.srt",
        "result.vtt",
    }
    assert untranslated <= same_everywhere


def test_the_tables_are_where_the_page_looks_for_them() -> None:
    assert all(path.parent == WEBUI / "locales" for path in LOCALES.values())
