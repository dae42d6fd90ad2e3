"""Which settings may be changed on the page, and what such a change makes of the settings. Service process, no I/O.

What decides where the service listens, who may use it and where its files lie is not among them: a page that could
change those could lock its own user out. Nor is what the start script and the installers read, because they run
before, or without, the database that keeps the page's choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from backend.models.settings import Plain, SettingGroup, SettingKind
from backend.utils.config import Settings

# The longest list of folders or address that anybody needs.
MAX_TEXT_CHARS = 2000


@dataclass(frozen=True)
class PageSetting:
    """A setting of the page. `needs_restart`: a change counts only after the next start."""

    name: str
    kind: SettingKind
    group: SettingGroup
    needs_restart: bool = False
    is_address: bool = False

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        return self.name.lower()


PAGE_SETTINGS: tuple[PageSetting, ...] = (
    PageSetting("HF_ENDPOINT", "text", "models", is_address=True),
    PageSetting("MODEL_SOURCES", "text", "models"),
    PageSetting("MODEL_FOLDERS", "path", "models", needs_restart=True),
    PageSetting("MODEL_PARALLEL", "int", "models", needs_restart=True),
    PageSetting("MODEL_OFFLINE", "bool", "models", needs_restart=True),
    PageSetting("SCRIPT_API_URL", "text", "scripts", is_address=True),
    PageSetting("SCRIPT_API_KEY", "secret", "scripts"),
    PageSetting("SCRIPT_API_MODEL", "text", "scripts"),
    PageSetting("SCRIPT_DISCOVERY", "bool", "scripts"),
    PageSetting("KEEP_JOBS_DAYS", "int", "keeping"),
    PageSetting("KEEP_JOBS", "int", "keeping"),
    PageSetting("DISK_BUDGET_GB", "number", "keeping"),
    PageSetting("JOB_CONCURRENCY", "int", "work", needs_restart=True),
    PageSetting("GPUS_PER_VIDEO", "int", "work", needs_restart=True),
    PageSetting("CPU_THREADS", "int", "work", needs_restart=True),
    PageSetting("WORKER_IDLE_UNLOAD_S", "int", "work", needs_restart=True),
    PageSetting("JOB_DEADLINE_S", "int", "work", needs_restart=True),
    PageSetting("MAX_SCRIPT_CHARS", "int", "work", needs_restart=True),
    PageSetting("HEAR_BACK", "choice", "work", needs_restart=True),
    PageSetting("FETCH_PROXY", "text", "network", needs_restart=True, is_address=True),
    PageSetting("WEBHOOK_ALLOW_PRIVATE", "bool", "network", needs_restart=True),
    PageSetting("LOG_LEVEL", "choice", "log"),
)
BY_NAME: Mapping[str, PageSetting] = {setting.name: setting for setting in PAGE_SETTINGS}
# Its validator knows them, its type does not.
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingRefused(ValueError):
    """A value that cannot be. `name` is the setting's; the text says what is wrong and never repeats the value."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def default_of(setting: PageSetting) -> Plain:
    """As `.env.example` has it; None for "not set"."""
    return plain(Settings.model_fields[setting.field].default)


def plain(value: Any) -> Plain:
    """A value of `Settings` as JSON has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def value_in(settings: Settings, setting: PageSetting) -> Plain:
    return plain(getattr(settings, setting.field))


def is_from_environment(settings: Settings, setting: PageSetting) -> bool:
    """Whether the environment or `.env` decides. A line that says the default decides nothing: people copy
    `.env.example` whole."""
    return setting.field in settings.model_fields_set and value_in(settings, setting) != default_of(setting)


def choices_of(setting: PageSetting) -> list[str] | None:
    if setting.kind != "choice":
        return None
    return [str(value) for value in get_args(Settings.model_fields[setting.field].annotation)] or list(
        _LOG_LEVELS
    )


def bounds_of(setting: PageSetting) -> tuple[float | None, float | None]:
    """Smallest and largest value; None without."""
    limits = Settings.model_fields[setting.field].metadata
    low, high = (
        next((found for limit in limits if (found := getattr(limit, name, None)) is not None), None)
        for name in ("ge", "le")
    )
    return (None if low is None else float(low), None if high is None else float(high))


def holds_password(setting: PageSetting, value: Plain) -> bool:
    """Whether the value must not be shown."""
    if setting.kind == "secret":
        return value is not None
    if not setting.is_address or not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return "@" in parts.netloc or bool(parts.query)
    except ValueError:
        return True  # not an address that could be taken apart, so nobody knows what it holds


def overlaid(base: Settings, values: Mapping[str, Plain]) -> Settings:
    """`base` with the page's values where the environment does not decide. Raises SettingRefused for the first value
    that the settings themselves would refuse."""
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        setting = BY_NAME.get(name)
        if setting is not None and value is not None and not is_from_environment(base, setting):
            chosen[setting.field] = _of_its_kind(setting, value)
    everything = {name: getattr(base, name) for name in Settings.model_fields}
    try:
        # All fields are given, so neither the environment nor a file has a say.
        return Settings(_env_file=None, **{**everything, **chosen})  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        raise SettingRefused(field.upper(), str(first["msg"]).removeprefix("Value error, ")) from None


def _of_its_kind(setting: PageSetting, value: Plain) -> Plain:
    """The value, when JSON's type fits: "yes" is no boolean here and true is no number."""
    if setting.kind == "bool":
        fits = isinstance(value, bool)
    elif setting.kind == "int":
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif setting.kind == "number":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        fits = isinstance(value, str) and len(value) <= MAX_TEXT_CHARS and value.isprintable()
    if not fits:
        words = {"bool": "true or false", "int": "a whole number", "number": "a number"}
        raise SettingRefused(
            setting.name,
            f"{setting.name} must be {words.get(setting.kind, f'one line of at most {MAX_TEXT_CHARS} characters')}",
        )
    return value
