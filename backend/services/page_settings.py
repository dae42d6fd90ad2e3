"""Settings that were changed on the page: kept in the store, checked like those of `.env`. Runs in the service process.

`.env` and the environment win. What can be applied at once is handed to those who listen; the rest counts after the
next start and is `pending` until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, OutOfDate, RequestError
from backend.models.settings import Plain, SettingList, SettingView
from backend.storage.settings_kv import SettingsRepository
from backend.utils.config import Settings
from backend.utils.logger import app_logger
from backend.utils.page_config import (
    BY_NAME,
    PAGE_SETTINGS,
    PageSetting,
    SettingRefused,
    bounds_of,
    choices_of,
    default_of,
    holds_password,
    is_from_environment,
    overlaid,
    value_in,
)

# Row of settings_kv: {NAME: value}.
SETTINGS_KEY = "page_settings"
_LISTED = "GET /api/settings lists the settings that the page may change; the others stand in .env."


class PageSettings:
    """The page's choices over the settings of the start."""

    def __init__(self, base: Settings, flags: SettingsRepository) -> None:
        """`base`: what the environment and `.env` say."""
        self._base = base
        self._flags = flags
        self._chosen: dict[str, Plain] = {}
        self._started = base
        self._now = base
        self._listeners: list[Callable[[Settings], None]] = []
        self._lock = asyncio.Lock()

    async def load(self) -> Settings:
        """The settings of this start. A kept value that no longer holds is left aside, with a line in the log."""
        kept = await self._flags.get(SETTINGS_KEY) or {}
        for name, value in kept.items():
            try:
                overlaid(self._base, {name: value})
            except SettingRefused as error:
                app_logger.warning("a setting of the page is left aside: %s: %s", name, error)
            else:
                if name in BY_NAME:
                    self._chosen[name] = value
        self._started = self._now = overlaid(self._base, self._chosen)
        return self._now

    def listen(self, apply: Callable[[Settings], None]) -> None:
        """`apply` gets the settings after each change; it takes from them what can change while the service runs."""
        self._listeners.append(apply)

    @property
    def now(self) -> Settings:
        """The settings as they would be after a restart."""
        return self._now

    def all(self) -> SettingList:
        return SettingList(data=[self._view(setting) for setting in PAGE_SETTINGS])

    async def change(self, values: Mapping[str, Plain]) -> SettingList:
        """All of them or none. Raises `validation_failed` naming each field that is wrong, and with status 409 when
        `.env` decides about one."""
        async with self._lock:
            self._check_names(values)
            chosen: dict[str, Plain] = {
                name: value for name, value in {**self._chosen, **values}.items() if value is not None
            }
            self._check_values(values)
            now = overlaid(self._base, chosen)
            await self._flags.set(SETTINGS_KEY, chosen)
            self._chosen, self._now = chosen, now
        for apply in self._listeners:
            apply(now)
        app_logger.info("settings changed on the page: %s", ", ".join(sorted(values)))
        return self.all()

    def _check_names(self, values: Mapping[str, Plain]) -> None:
        # Not repeated in the answer: what a caller calls a setting may hold anything.
        if any(name not in BY_NAME for name in values):
            message = "There is no such setting on the page."
            raise RequestError(
                ErrorCode.VALIDATION_FAILED, message, hint=_LISTED, fields=(FieldError("values", message),)
            )
        for name in values:
            if is_from_environment(self._base, BY_NAME[name]):
                raise OutOfDate(
                    f"{name} is set in .env or in the environment, which wins over the page.",
                    field=f"values.{name}",
                    hint="Take the line out of .env and start again, or change it there.",
                )

    def _check_values(self, values: Mapping[str, Plain]) -> None:
        wrong = []
        for name, value in values.items():
            try:
                overlaid(self._base, {name: value})
            except SettingRefused as error:
                wrong.append(FieldError(f"values.{name}", str(error)))
        if wrong:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                f"Nothing was changed. {wrong[0].message}",
                hint="Mend the fields listed in `errors` and send them again.",
                fields=tuple(wrong),
            )

    def _view(self, setting: PageSetting) -> SettingView:
        value = value_in(self._now, setting)
        default = default_of(setting)
        low, high = bounds_of(setting)
        is_env = is_from_environment(self._base, setting)
        return SettingView(
            name=setting.name,
            kind=setting.kind,
            group=setting.group,
            value=None if holds_password(setting, value) else value,
            default=default,
            set=value is not None and value != default,
            source="env" if is_env else "page" if setting.name in self._chosen else "default",
            restart=setting.needs_restart,
            pending=setting.needs_restart and value != value_in(self._started, setting),
            choices=choices_of(setting),
            min=low,
            max=high,
            description=Settings.model_fields[setting.field].description or "",
        )
