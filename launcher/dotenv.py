"""The one value of `.env` that is needed before pydantic is installed: where pip installs from.

Everything else in `.env` is read by `backend.utils.config` inside the virtual environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

INDEX_SETTING = "PIP_INDEX_URL"


def read_value(env_file: Path, name: str) -> str | None:
    """Value of `name` in a `.env` file, without quotes and trailing comment; None when unset or blank."""
    try:
        text = env_file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    found = None
    for line in text.splitlines():
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and key.strip().upper() == name:
            found = _unquote(value.strip())
    return found or None


def _unquote(value: str) -> str:
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].strip()


def index_environment(env_file: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`{"PIP_INDEX_URL": …}` when `.env` sets it and the process environment does not."""
    if environ.get(INDEX_SETTING):
        return {}
    value = read_value(env_file, INDEX_SETTING)
    return {INDEX_SETTING: value} if value else {}
