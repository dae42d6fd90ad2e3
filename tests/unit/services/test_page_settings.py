"""Settings that were changed on the page: kept, checked, applied, and never stronger than `.env`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import OutOfDate, RequestError
from backend.services.page_settings import SETTINGS_KEY, PageSettings
from backend.storage.settings_kv import SettingsRepository
from backend.utils.config import Settings
from tests.support.studio import settings_in


class Flags(SettingsRepository):
    """In memory."""

    def __init__(self, kept: dict[str, Any] | None = None) -> None:
        self.rows: dict[str, dict[str, Any]] = {} if kept is None else {SETTINGS_KEY: kept}

    async def get(self, key: str) -> dict[str, Any] | None:
        return self.rows.get(key)

    async def set(self, key: str, value: Mapping[str, Any]) -> None:
        self.rows[key] = dict(value)


async def opened(folder: Path, flags: Flags, **changes: Any) -> PageSettings:
    settings = PageSettings(settings_in(folder, **changes), flags)
    await settings.load()
    return settings


def row(settings: PageSettings, name: str) -> dict[str, Any]:
    return next(view.model_dump() for view in settings.all().data if view.name == name)


async def test_a_change_counts_at_once_is_told_to_listeners_and_survives_a_restart(tmp_path: Path) -> None:
    flags = Flags()
    settings = await opened(tmp_path, flags)
    heard: list[Settings] = []
    settings.listen(heard.append)
    await settings.change({"KEEP_JOBS": 7, "HF_ENDPOINT": "https://hf-mirror.com"})
    assert [(now.keep_jobs, now.hf_endpoint) for now in heard] == [(7, "https://hf-mirror.com")]
    told = row(settings, "KEEP_JOBS")
    assert (told["value"], told["source"], told["set"], told["pending"]) == (7, "page", True, False)
    again = await opened(tmp_path, flags)
    assert (again.now.keep_jobs, row(again, "KEEP_JOBS")["source"]) == (7, "page")


async def test_what_needs_a_restart_is_pending_until_then(tmp_path: Path) -> None:
    flags = Flags()
    settings = await opened(tmp_path, flags)
    await settings.change({"CPU_THREADS": 2})
    assert row(settings, "CPU_THREADS")["pending"] is True
    await settings.change({"CPU_THREADS": None})
    assert row(settings, "CPU_THREADS")["pending"] is False
    await settings.change({"CPU_THREADS": 3})
    assert row(await opened(tmp_path, flags), "CPU_THREADS")["pending"] is False


async def test_null_takes_the_default_again(tmp_path: Path) -> None:
    flags = Flags()
    settings = await opened(tmp_path, flags)
    await settings.change({"KEEP_JOBS": 7, "LOG_LEVEL": "DEBUG"})
    await settings.change({"KEEP_JOBS": None})
    assert (row(settings, "KEEP_JOBS")["value"], row(settings, "KEEP_JOBS")["source"]) == (2000, "default")
    assert flags.rows[SETTINGS_KEY] == {"LOG_LEVEL": "DEBUG"}


async def test_all_or_nothing_and_every_field_that_is_wrong_is_named(tmp_path: Path) -> None:
    flags = Flags()
    settings = await opened(tmp_path, flags)
    with pytest.raises(RequestError) as caught:
        await settings.change({"KEEP_JOBS": 7, "KEEP_JOBS_DAYS": -1, "LOG_LEVEL": "LOUD"})
    assert [field.field for field in caught.value.fields] == ["values.KEEP_JOBS_DAYS", "values.LOG_LEVEL"]
    assert (settings.now.keep_jobs, flags.rows) == (2000, {})


async def test_the_environment_wins_and_says_so(tmp_path: Path) -> None:
    flags = Flags({"KEEP_JOBS": 7})
    settings = await opened(tmp_path, flags, keep_jobs=50)
    assert settings.now.keep_jobs == 50
    assert row(settings, "KEEP_JOBS")["source"] == "env"
    with pytest.raises(OutOfDate) as caught:
        await settings.change({"KEEP_JOBS": 8, "LOG_LEVEL": "DEBUG"})
    assert caught.value.fields[0].field == "values.KEEP_JOBS"
    assert settings.now.log_level == "INFO"


async def test_a_name_that_is_none_is_refused_without_repeating_it(tmp_path: Path) -> None:
    settings = await opened(tmp_path, Flags())
    for name in ("PORT", "API_KEY", "keep_jobs", "<script>"):
        with pytest.raises(RequestError) as caught:
            await settings.change({name: 1})
        assert caught.value.code is ErrorCode.VALIDATION_FAILED
        assert name not in caught.value.detail


async def test_a_secret_is_kept_and_used_but_never_told(tmp_path: Path) -> None:
    settings = await opened(tmp_path, Flags())
    told = await settings.change(
        {"SCRIPT_API_KEY": "sk-private", "HF_ENDPOINT": "https://me:pass@mirror.example"}
    )
    assert settings.now.script_api_key is not None
    assert settings.now.script_api_key.get_secret_value() == "sk-private"
    text = told.model_dump_json()
    assert "sk-private" not in text
    assert "pass@" not in text
    for name in ("SCRIPT_API_KEY", "HF_ENDPOINT"):
        assert (row(settings, name)["value"], row(settings, name)["set"]) == (None, True)


async def test_a_kept_value_that_no_longer_holds_is_left_aside_and_the_others_count(tmp_path: Path) -> None:
    flags = Flags({"KEEP_JOBS": "many", "GONE_SETTING": 1, "KEEP_JOBS_DAYS": 3, "PORT": 1})
    settings = await opened(tmp_path, flags)
    assert (settings.now.keep_jobs, settings.now.keep_jobs_days, settings.now.port) == (2000, 3, 8000)


async def test_a_folder_of_nobody_is_refused_and_a_kept_one_does_not_end_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await opened(tmp_path, Flags())
    with pytest.raises(RequestError) as caught:
        await settings.change({"MODEL_FOLDERS": "~nosuchuser/models"})
    assert [field.field for field in caught.value.fields] == ["values.MODEL_FOLDERS"]
    kept = Flags({"MODEL_FOLDERS": "~nosuchuser/models", "FETCH_PROXY": "foo", "KEEP_JOBS": 7})
    with caplog.at_level("WARNING"):
        settings = await opened(tmp_path, kept)
    assert (settings.now.model_folder_list, settings.now.fetch_proxy, settings.now.keep_jobs) == ((), None, 7)
    assert all(f"left aside: {name}" in caplog.text for name in ("MODEL_FOLDERS", "FETCH_PROXY"))
    assert "nosuchuser" not in caplog.text
