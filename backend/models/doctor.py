"""The system check on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.models.job import WireModel

CheckStatus = Literal["ok", "warning", "error", "skipped"]
# What mends a check. The first four can be done by the service itself.
FixAction = Literal[
    "download_model",
    "free_space",
    "restart_engine",
    "resume_queue",
    "open_models",
    "open_settings",
    "repair",
    "read_docs",
]
MAX_CHECK_ID_CHARS = 64


class FixView(WireModel):
    """`automatic`: `POST /api/doctor/fix` does it; otherwise `label` says what a person can do."""

    action: FixAction
    label: str
    automatic: bool = False
    # A model's or an engine's name, where the action needs one.
    target: str | None = None


class CheckView(WireModel):
    """One thing that was looked at. Pages have words of their own by `id`; `title` and `detail` are English."""

    id: str
    status: CheckStatus
    title: str
    detail: str
    fix: FixView | None


class DoctorReport(WireModel):
    checks: list[CheckView]
    checked_at: str


class DoctorFix(WireModel):
    """Body of `POST /api/doctor/fix`."""

    id: Annotated[str, Field(min_length=1, max_length=MAX_CHECK_ID_CHARS)]


class DoctorFixed(WireModel):
    """What was done. `done` is false when nothing was wrong any more."""

    id: str
    done: bool
    message: str
