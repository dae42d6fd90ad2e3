"""API keys on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from backend.models.job import WireModel
from backend.models.json_values import check_name

MAX_KEY_NAME_CHARS = 100


class KeyCreate(WireModel):
    """Body of `POST /api/keys`."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_KEY_NAME_CHARS), AfterValidator(check_name)]


class KeyView(WireModel):
    """A key as it is listed; `prefix` is how it begins."""

    key_id: str
    name: str
    prefix: str
    created_at: str
    last_used_at: str | None


class KeyCreated(KeyView):
    """Answer of `POST /api/keys`. `key` is shown here and never again."""

    key: str


class KeyList(WireModel):
    data: list[KeyView]
