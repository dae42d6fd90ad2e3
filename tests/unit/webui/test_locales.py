"""Chinese and English say the same things, and say everything that the page can show."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from backend.engines.draft_adapter import DraftAdapter
from backend.engines.speech.builtin import BUILTIN
from backend.models.batch_records import DeliveryState
from backend.models.codes import ErrorCode, JobStatus, StageName, StageState
from backend.models.disk import DiskUse, Reclaimable
from backend.models.doctor import CheckStatus, FixAction
from backend.models.library import MatchView, SimilarityView
from backend.models.logs import LOG_LEVELS
from backend.models.model import ModelFileView, ModelState
from backend.models.model_catalogue import ModelPurpose
from backend.models.script import ScriptSource
from backend.models.settings import SettingGroup
from backend.utils.page_config import PAGE_SETTINGS
from tests.unit.webui.page_files import LOCALES, ROOT, SCRIPTS, WEBUI, Page, code_of, table_of

TABLES = {name: table_of(path) for name, path in LOCALES.items()}
ENGLISH, CHINESE = TABLES["en"], TABLES["zh-CN"]

# What the page itself can meet, besides the service's codes.
PAGE_CODES = {"unknown", "offline", "no_answer", "bad_answer", "page_error"}
ALL_CODES = {str(code) for code in ErrorCode} | PAGE_CODES
# Read from the source: the worker's modules need packages that the page's tests do not.
_CHECKS = (ROOT / "workers" / "draft" / "portrait_checks.py").read_text(encoding="utf-8")
PORTRAIT_WARNINGS = set(re.findall(r"""warn\(\s*"([a-z_]+)\"""", _CHECKS))
# What the voice doctor may find, and why a reading is doubtful: the words of the speech worker.
_ENROL = (ROOT / "workers" / "speech" / "enrol" / "findings.py").read_text(encoding="utf-8")
FINDINGS = set(re.findall(r'"([a-z_]+)"', _ENROL.partition("FINDING_CODES = (")[2].partition(")")[0]))
DOUBTS = {"polyphone", "unknown_word", "mixed", "number"}

# The settings that the Models screen shows beside the models.
SOURCE_SETTINGS = {"MODEL_SOURCES", "HF_ENDPOINT", "MODEL_FOLDERS"}
SYSTEM_TABS = {
    *("engines", "machine", "doctor", "logs", "settings", "dictionary", "keys", "webhooks", "batches"),
}
# docs/protocol.md, and what the supervisor says without a process.
WORKER_STATES = {
    *("importing", "loading", "idle", "running", "cancelling", "unloading"),
    *("stopped", "starting", "unavailable"),
}
DOCTOR_CHECKS = {
    *("disk", "data_writable", "memory", "ffmpeg", "gpu_driver", "draft", "speech", "models", "queue"),
    *("network_mirror", "port", "time"),
}

# Keys that scripts build from a word: the prefix in the script, and every word that can follow.
COMPUTED = {
    "status.": {str(status) for status in JobStatus},
    "stage.": {str(stage) for stage in StageName},
    "stage_state.": {str(state) for state in StageState},
    "error.": {f"{code}.{part}" for code in ALL_CODES for part in ("cause", "fix")},
    "activity.": {str(stage) for stage in StageName},
    "portrait_warning.": PORTRAIT_WARNINGS,
    "avatarpage.fix_": PORTRAIT_WARNINGS,
    "engine.state_": {"READY", "STARTING", "BUSY", "NOT_INSTALLED", "UNAVAILABLE"},
    "engine.kind_": {"gpu", "cpu", "plugin"},
    # Names of our own engines; "builtin" speaks.
    "engine.title_": {"draft", "builtin"},
    "engine.disclosure_": {"wan2gp"},
    "connection.": {"live", "polling", "offline"},
    "language.": {"auto", "zh", "en", "ja"},
    "voices.": {"female", "male"},
    "voices.group_": {"zh", "en", "ja", "own"},
    "script.example_": {"zh", "en", "ja"},
    "script.dialogue_": {"zh", "en", "ja"},
    "finding.": FINDINGS,
    "finding_fix.": FINDINGS,
    "similarity.badge_": set(get_args(SimilarityView.model_fields["badge"].annotation)),
    "match.state_": set(get_args(MatchView.model_fields["state"].annotation)),
    "script_source.": set(get_args(ScriptSource)),
    "doubt.": DOUBTS,
    "model_state.": set(get_args(ModelState)),
    "model_purpose.": set(get_args(ModelPurpose)),
    "models.": {"download", "pause", "resume"},
    "modelpage.show_": {"all", "here", "coming"},
    "modelpage.none_": {"all", "here", "coming"},
    "modelpage.file_": set(get_args(ModelFileView.model_fields["state"].annotation)),
    "modelpage.by_": {"pinned", "hub"},
    "modelpage.source_": {"usual", "auto", "mirror", "hub"},
    "modelpage.label_": SOURCE_SETTINGS,
    "modelpage.hint_": SOURCE_SETTINGS,
    "disk.": {"ours", "others", "free"},
    "disk.kind_": {str(kind) for kind in get_args(DiskUse.model_fields["kind"].annotation)},
    "disk.rule_": {str(rule) for rule in get_args(Reclaimable.model_fields["rule"].annotation)},
    "disk.why_": {str(rule) for rule in get_args(Reclaimable.model_fields["rule"].annotation)},
    "system.tab_": SYSTEM_TABS,
    "system.name_": {"speech", "draft", "writer", "listen"},
    "system.worker_": WORKER_STATES,
    "logs.level_": set(LOG_LEVELS),
    "doctor.status_": set(get_args(CheckStatus)),
    "doctor.title_": DOCTOR_CHECKS | {"engine"},
    "doctor.hint_": DOCTOR_CHECKS - {"draft", "speech"} | {"engine"},
    # Where the service or a link helps; the others are words alone.
    "doctor.fix_": set(get_args(FixAction)) - {"repair", "read_docs"},
    "hooks.on_": {"completed", "failed", "cancelled"},
    "hooks.status_": {state.value for state in DeliveryState},
    "settings.group_": set(get_args(SettingGroup)) | {"other"},
    "settings.name_": {setting.name for setting in PAGE_SETTINGS},
    "settings.about_": {setting.name for setting in PAGE_SETTINGS},
    "settings.choice_": {"auto", "on", "off", "debug", "info", "warning", "error"},
    "options.subtitles_": {"file", "burn_in", "none"},
    "theme.": {"auto", "light", "dark"},
    "count.": {"window", "step"},
    "studio.draft_": {"saved", "saving", "local"},
    "studio.promote_": {"best", "fast"},
    "studio.quality_": {f"{name}{end}" for name in ("draft", "fast", "best") for end in ("", "_note")},
    "studio.preset_": {"quality", "balanced", "fast", "turbo"},
    "notice.": {"voice_match", "voice_clone", "voice_stand_in", "speaker_silent"},
}

_KEY = re.compile(r"""["'`]([a-z_]+\.[a-z_A-Z0-9]+)["'`]""")
_COMPUTED_KEY = re.compile(r"`([a-z_]+\.(?:[a-z]+_)*)\$\{")


# "{n} video" beside "{n} videos": said of one, where the language has a form for it (webui/js/lib/i18n.js).
ONE = "_one"


def _forms_for_one() -> set[str]:
    return {key for key in ENGLISH if key.endswith(ONE) and "{n}" in ENGLISH.get(key.removesuffix(ONE), "")}


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


def test_a_form_for_one_is_english_alone() -> None:
    for key in _forms_for_one():
        many = key.removesuffix(ONE)
        assert ENGLISH[key] != ENGLISH[many]
        # Chinese has one form.
        assert CHINESE[key] == CHINESE[many]


def test_english_has_a_form_for_one_wherever_things_are_counted() -> None:
    counted = {key for key, text in ENGLISH.items() if re.search(r"\{n\} (?:more )?[a-z]+s\b", text)}
    # A unit, the number of a face, and a warning that comes only with two or more.
    never_one = {"lib.milliseconds", "avatarpage.face_of", "portrait_warning.several_faces"}
    assert not {key for key in counted - never_one if key + ONE not in ENGLISH}


def test_every_key_that_the_page_uses_exists() -> None:
    assert not _written_keys() - ENGLISH.keys()


def test_every_key_that_scripts_build_exists() -> None:
    assert not _computed_keys() - ENGLISH.keys()


def test_scripts_build_keys_only_from_the_prefixes_known_here() -> None:
    prefixes = {prefix for path in SCRIPTS for prefix in _COMPUTED_KEY.findall(code_of(path))}
    assert prefixes <= COMPUTED.keys()


@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("code", sorted(ALL_CODES))
def test_every_error_code_has_a_cause_and_a_fix_in_sentences(name: str, code: str) -> None:
    end = "." if name == "en" else "。"
    for part in ("cause", "fix"):
        assert TABLES[name][f"error.{code}.{part}"].endswith(end)


def test_every_installer_that_the_page_names_is_there() -> None:
    wording = code_of(WEBUI / "js" / "ui" / "wording.js")
    installers = dict(re.findall(r'(\w+): "(install_\w+)"', wording))
    assert {"wan2gp", "infinitetalk"} <= installers.keys()
    for name in installers.values():
        assert all((WEBUI.parent / f"{name}.{ending}").is_file() for ending in ("bat", "sh"))


def test_every_engine_of_ours_has_a_name_in_each_language() -> None:
    assert ENGLISH["engine.title_draft"] == DraftAdapter.title
    assert f"engine.title_{BUILTIN}" in ENGLISH


def test_the_findings_about_recordings_are_those_that_the_worker_gives() -> None:
    assert {"short", "noisy", "music", "second_speaker"} < FINDINGS


def test_the_warnings_about_portraits_are_those_that_the_worker_gives() -> None:
    assert {"several_faces", "strong_profile", "drawn"} < PORTRAIT_WARNINGS


def test_no_text_is_left_over() -> None:
    assert not ENGLISH.keys() - _written_keys() - _computed_keys() - _forms_for_one()


def test_chinese_is_translated() -> None:
    """Texts without a Chinese character are names, numbers, or samples of another language."""
    untranslated = {key for key, text in CHINESE.items() if not re.search(r"[\u4e00-\u9fff：、，]", text)}
    same_everywhere = {
        "app.name",
        "script.example_en",
        "script.dialogue_en",
        "options.aspect_square",
        "options.aspect_tall",
        "options.aspect_wide",
        "options.resolution_512",
        "options.resolution_720",
        "result.srt",
        "result.vtt",
        "script_source.ollama",
        "script_source.lmstudio",
        "script_source.llamacpp",
        "report.lufs",
        "voicepage.read_en",
        "models.gigabytes",
        "models.megabytes",
        "modelpage.so_far",
        "system.mib",
        "system.celsius",
    }
    assert untranslated <= same_everywhere


def test_the_tables_are_where_the_page_looks_for_them() -> None:
    assert all(path.parent == WEBUI / "locales" for path in LOCALES.values())
