"""Settings on the wire: what the page may change. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.models.job import WireModel

SettingKind = Literal["bool", "int", "number", "text", "choice", "secret", "path"]
SettingGroup = Literal["models", "scripts", "keeping", "work", "network", "log"]
# More than there are settings, less than a body that takes time to look at.
MAX_SETTINGS_AT_ONCE = 64

Plain = bool | int | float | str | None


class SettingView(WireModel):
    """One setting. Secrets, and addresses with a password in them, are never shown: `value` is null, `set` is true."""

    name: str
    kind: SettingKind
    group: SettingGroup
    value: Plain
    default: Plain
    set: bool
    source: Literal["default", "env", "page"]
    restart: bool
    pending: bool
    choices: list[str] | None
    min: float | None
    max: float | None
    description: str


class SettingList(WireModel):
    data: list[SettingView]


class SettingsPatch(WireModel):
    """Body of `PATCH /api/settings`: names to values; null takes the default again."""

    values: Annotated[dict[str, Plain], Field(min_length=1, max_length=MAX_SETTINGS_AT_ONCE)]
