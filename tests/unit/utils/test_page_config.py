"""Settings of the page: which there are, what they accept, and that `.env` wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.settings import Plain
from backend.utils.config import BASE_DIR, Settings
from backend.utils.page_config import (
    BY_NAME,
    PAGE_SETTINGS,
    SettingRefused,
    bounds_of,
    choices_of,
    default_of,
    holds_password,
    is_from_environment,
    overlaid,
    value_in,
)
from tests.support.studio import settings_in

# What decides who comes in, from where, and where files lie; and what runs before the database is open.
NEVER_ON_THE_PAGE = {
    "HOST",
    "PORT",
    "ALLOWED_HOSTS",
    "API_KEY",
    "DATA_DIR",
    "LOGS_DIR",
    "HF_HOME",
    "PIP_INDEX_URL",
    "TORCH_INDEX_URL",
    "GITHUB_MIRROR",
}


def test_every_setting_of_the_page_is_one_of_the_service_and_none_can_lock_its_user_out() -> None:
    names = {setting.name for setting in PAGE_SETTINGS}
    assert names <= {field.upper() for field in Settings.model_fields}
    assert not names & NEVER_ON_THE_PAGE
    assert len(names) == len(PAGE_SETTINGS)
    groups = [setting.group for setting in PAGE_SETTINGS]
    assert groups == sorted(groups, key=groups.index), "a group's settings stand together"


def test_a_default_and_its_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    keep = BY_NAME["KEEP_JOBS_DAYS"]
    assert (default_of(keep), bounds_of(keep)) == (30, (0.0, 36_500.0))
    assert choices_of(BY_NAME["HEAR_BACK"]) == ["auto", "on", "off"]
    assert choices_of(BY_NAME["LOG_LEVEL"]) == ["DEBUG", "INFO", "WARNING", "ERROR"]
    assert choices_of(keep) is None
    fresh = settings_in(tmp_path)
    for setting in PAGE_SETTINGS:
        if setting.name != "SCRIPT_DISCOVERY":  # settings_in turns it off
            assert value_in(fresh, setting) == default_of(setting), setting.name
            assert not is_from_environment(fresh, setting), setting.name


def test_the_environment_decides_only_where_it_says_something_else_than_the_default(tmp_path: Path) -> None:
    env = tmp_path / "copied.env"
    env.write_text("KEEP_JOBS=2000\nKEEP_JOBS_DAYS=7\nHF_ENDPOINT=\n", encoding="utf-8")
    from backend.utils.config import load_settings

    settings = load_settings(env)
    decided = [s.name for s in PAGE_SETTINGS if is_from_environment(settings, s)]
    assert decided == ["KEEP_JOBS_DAYS"]
    now = overlaid(settings, {"KEEP_JOBS": 5, "KEEP_JOBS_DAYS": 5, "HF_ENDPOINT": "https://hf-mirror.com"})
    assert (now.keep_jobs, now.keep_jobs_days, now.hf_endpoint) == (5, 7, "https://hf-mirror.com")


def test_what_the_page_does_not_know_stays_as_it_was(tmp_path: Path) -> None:
    base = settings_in(tmp_path, api_key="mine", port=8123)
    now = overlaid(base, {"PORT": 1, "API_KEY": "theirs", "NOTHING": True, "KEEP_JOBS": None})
    assert now == base


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEEP_JOBS", -1),
        ("KEEP_JOBS", True),
        ("KEEP_JOBS", "7"),
        ("KEEP_JOBS", 1.5),
        ("DISK_BUDGET_GB", float("nan")),
        ("DISK_BUDGET_GB", float("inf")),
        ("DISK_BUDGET_GB", True),
        ("MODEL_OFFLINE", "yes"),
        ("MODEL_OFFLINE", 1),
        ("MODEL_SOURCES", "elsewhere"),
        ("MODEL_SOURCES", ""),
        ("LOG_LEVEL", "LOUD"),
        ("HEAR_BACK", "sometimes"),
        ("SCRIPT_API_URL", "ftp://somewhere"),
        ("SCRIPT_API_URL", "http://user:password@host/v1"),
        ("SCRIPT_API_MODEL", "a\nb"),
        ("SCRIPT_API_MODEL", "\ud800"),
        ("SCRIPT_API_KEY", "x" * 2001),
        ("SCRIPT_API_KEY", "sk-密钥"),
        ("MODEL_FOLDERS", "~nosuchuser/models"),
        ("MODEL_FOLDERS", "models; ~nosuchuser/elsewhere"),
        ("FETCH_PROXY", "foo"),
        ("FETCH_PROXY", "192.168.1.2:8080"),
        ("FETCH_PROXY", "socks5://127.0.0.1:1080"),
        ("FETCH_PROXY", "http://"),
        ("FETCH_PROXY", "http://127.0.0.1:nine"),
        ("FETCH_PROXY", "http://127.0.0.1:99999"),
        ("FETCH_PROXY", "http://[::1:80"),
        ("FETCH_PROXY", "http://a b:80"),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_not_repeated(tmp_path: Path, name: str, value: Plain) -> None:
    with pytest.raises(SettingRefused) as caught:
        overlaid(settings_in(tmp_path), {name: value})
    assert caught.value.name == name
    assert "password" not in str(caught.value)
    assert "elsewhere" not in str(caught.value)


def test_values_are_made_straight_like_those_of_the_file(tmp_path: Path) -> None:
    given = {
        "MODEL_SOURCES": " ModelScope , url ",
        "LOG_LEVEL": "debug",
        "SCRIPT_API_URL": "http://10.0.0.2:1/",
        "SCRIPT_API_KEY": " sk-1234 ",
        "FETCH_PROXY": " HTTP://me:pass@proxy.example:7890 ",
        "MODEL_FOLDERS": "~/models; more",
    }
    now = overlaid(settings_in(tmp_path), given)
    assert now.model_sources == "modelscope,url"
    assert now.log_level == "DEBUG"
    assert now.script_api_url == "http://10.0.0.2:1/v1"
    assert now.script_api_key is not None
    assert now.script_api_key.get_secret_value() == "sk-1234"
    assert now.fetch_proxy == "HTTP://me:pass@proxy.example:7890"
    assert now.model_folder_list == (Path.home() / "models", BASE_DIR / "more")
    assert overlaid(now, {"SCRIPT_API_MODEL": "  "}).script_api_model is None


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("SCRIPT_API_KEY", "sk-1234", True),
        ("SCRIPT_API_KEY", None, False),
        ("HF_ENDPOINT", "https://me:pass@mirror.example", True),
        ("HF_ENDPOINT", "https://mirror.example/?token=1", True),
        ("HF_ENDPOINT", "https://mirror.example", False),
        ("FETCH_PROXY", "http://[", True),
        ("LOG_LEVEL", "a@b", False),
    ],
)
def test_secrets_and_addresses_with_a_password_are_not_shown(name: str, value: Plain, hidden: bool) -> None:
    assert holds_password(BY_NAME[name], value) is hidden
