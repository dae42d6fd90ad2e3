"""The protocol between service and worker, version 1, as the service knows it. Service process.

One ASCII JSON object per line: `{"v":1,"seq":n,"type":...}` and the type's fields. `Encoder` makes the
lines that go to a worker, `Decoder` turns a worker's lines into the message dataclasses below. A worker
runs foreign code, so everything it says is checked here; unknown types and fields are ignored, anything
else that is wrong raises `ProtocolViolationError` and costs the worker its life.

The tables are compared with `workers/messages.py` and docs/protocol.md by contract tests.
"""

# ruff: noqa: RUF009  `_must` and `_may` return dataclass fields, made once per class and immutable
from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypedDict, cast

PROTOCOL_VERSION = 1
# Bulk data travels as files; no honest message comes near this.
MAX_LINE_BYTES = 1024 * 1024

EXIT_PROTOCOL = 64
EXIT_START_FAILED = 65
EXIT_PARENT_GONE = 71

DRAIN_PREFIX = "@drain:"
CANCELLED = "cancelled"

# Bounds of single fields, far above honest use: they keep rows, logs and events small.
_MAX_TEXT = 16_000
_MAX_NAME = 256

WORKER_STATES = frozenset({"importing", "loading", "idle", "running", "cancelling", "unloading"})


class ProtocolViolationError(Exception):
    """A line is not a message of this protocol. The text is for the log."""


class MessageTooLongError(ValueError):
    """A message for the worker would be longer than `MAX_LINE_BYTES`."""


# --- service -> worker -------------------------------------------------------------------------------


class InitFields(TypedDict):
    """First message, once."""

    protocol: int
    worker_id: str
    parent_pid: int
    engine: str
    engine_root: str | None
    device: Mapping[str, Any] | None
    dirs: dict[str, str]
    heartbeat_s: float
    options: dict[str, Any]


class RunFields(TypedDict):
    """One attempt; only while the worker is idle."""

    job_id: str
    attempt: int
    task: str
    model: str | None
    inputs: dict[str, str]
    params: dict[str, Any]
    output_dir: str
    seed: int
    deadline_s: float


class CancelFields(TypedDict):
    """Ignored by the worker unless it names the running attempt."""

    job_id: str
    attempt: int
    reason: str


class UnloadFields(TypedDict):
    """Drop models, stay alive."""


class PingFields(TypedDict):
    """Answered by `pong` with the same nonce, from a thread that tasks do not block."""

    nonce: str


class ShutdownFields(TypedDict):
    """Exit 0 after `bye`; a running task is abandoned."""

    grace_s: float


_PARENT_FIELDS: dict[str, Any] = {
    "init": InitFields,
    "run": RunFields,
    "cancel": CancelFields,
    "unload": UnloadFields,
    "ping": PingFields,
    "shutdown": ShutdownFields,
}
PARENT_TO_WORKER: dict[str, tuple[str, ...]] = {
    kind: tuple(shape.__annotations__) for kind, shape in _PARENT_FIELDS.items()
}


class Encoder:
    """Numbers and serialises the messages to one worker. Not thread-safe: one sender per worker."""

    def __init__(self) -> None:
        self._next = 0

    def encode(self, kind: str, values: Mapping[str, Any]) -> bytes:
        """One line with its newline. Raises `MessageTooLongError`, TypeError, ValueError."""
        if set(values) != set(PARENT_TO_WORKER[kind]):
            raise ValueError(f"{kind!r} takes exactly the fields {PARENT_TO_WORKER[kind]}")
        message = {"v": PROTOCOL_VERSION, "seq": self._next, "type": kind, **values}
        text = json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        line = text.encode("ascii") + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise MessageTooLongError(f"a {kind!r} message of {len(line)} bytes is too long")
        self._next += 1
        return line


# --- worker -> service -------------------------------------------------------------------------------

Check = Callable[[Any], bool]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_int(value) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_fraction(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_state(value: Any) -> bool:
    return isinstance(value, str) and value in WORKER_STATES


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _must(check: Check) -> Any:
    """A field that has to be there and pass `check`."""
    return field(metadata={"check": check})


def _may(check: Check, default: Any = None) -> Any:
    """A field that may be missing or null."""
    return field(default=default, metadata={"check": check, "optional": True})


@dataclass(frozen=True, kw_only=True)
class WorkerMessage:
    """Something a worker said, checked."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class Hello(WorkerMessage):
    """The interpreter runs and speaks the protocol; nothing heavy is imported yet."""

    kind: ClassVar[str] = "hello"
    protocol: int = _must(_is_int)
    worker_version: str = _must(_is_name)
    pid: int = _must(_is_count)
    python: str = _must(_is_name)
    platform: str = _must(_is_name)
    capabilities: list[Any] = _must(_is_list)


@dataclass(frozen=True, kw_only=True)
class Ready(WorkerMessage):
    """Loaded. The known fields and `data` are what `Handler.load` returned."""

    kind: ClassVar[str] = "ready"
    engine_version: str | None = _may(_is_text)
    torch: str | None = _may(_is_text)
    cuda: str | None = _may(_is_text)
    devices: list[Any] | None = _may(_is_list)
    models: list[Any] | None = _may(_is_list)
    load_s: float | None = _may(_is_number)
    data: dict[str, Any] | None = _may(_is_object)


@dataclass(frozen=True, kw_only=True)
class State(WorkerMessage):
    """The worker changed its state."""

    kind: ClassVar[str] = "state"
    state: str = _must(_is_state)
    model: str | None = _may(_is_text)


@dataclass(frozen=True, kw_only=True)
class Heartbeat(WorkerMessage):
    """A sign of life. Its absence alone never kills: native code may hold the interpreter's lock."""

    kind: ClassVar[str] = "heartbeat"
    state: str = _must(_is_state)
    job_id: str | None = _may(_is_name)
    rss_mib: float | None = _may(_is_number)
    vram_used_mib: float | None = _may(_is_number)
    vram_peak_mib: float | None = _may(_is_number)
    quiet_s: float | None = _may(_is_number)


@dataclass(frozen=True, kw_only=True)
class JobMessage(WorkerMessage):
    """A message about one attempt; `job_id` and `attempt` are the fence."""

    job_id: str = _must(_is_name)
    attempt: int = _must(_is_int)


@dataclass(frozen=True, kw_only=True)
class Accepted(JobMessage):
    """The attempt counts as started."""

    kind: ClassVar[str] = "accepted"


@dataclass(frozen=True, kw_only=True)
class Progress(JobMessage):
    """Work done so far; `fraction` 0..1 or None when unknown."""

    kind: ClassVar[str] = "progress"
    stage: str = _may(_is_text, "")
    fraction: float | None = _may(_is_fraction)
    step: int | None = _may(_is_int)
    steps: int | None = _may(_is_int)
    eta_s: float | None = _may(_is_number)
    message: str = _may(_is_text, "")


@dataclass(frozen=True, kw_only=True)
class Log(WorkerMessage):
    """A structured log line; raw prints travel by the log pipe."""

    kind: ClassVar[str] = "log"
    level: str = _must(_is_name)
    logger: str = _may(_is_text, "")
    message: str = _must(_is_text)
    job_id: str | None = _may(_is_name)


@dataclass(frozen=True, kw_only=True)
class Artifact(JobMessage):
    """A finished file, by its path relative to the attempt's output directory."""

    kind: ClassVar[str] = "artifact"
    role: str = _must(_is_name)
    path: str = _must(_is_text)
    bytes: int = _must(_is_count)
    sha256: str = _must(_is_sha256)
    media_type: str = _must(_is_name)
    width: int | None = _may(_is_count)
    height: int | None = _may(_is_count)
    fps: float | None = _may(_is_number)
    duration_s: float | None = _may(_is_number)


@dataclass(frozen=True, kw_only=True)
class Result(JobMessage):
    """The end of an attempt."""

    kind: ClassVar[str] = "result"
    ok: bool = _must(_is_bool)
    error: dict[str, Any] | None = _may(_is_object)
    data: dict[str, Any] | None = _may(_is_object)
    metrics: dict[str, Any] | None = _may(_is_object)
    drain: str | None = _may(_is_name)


@dataclass(frozen=True, kw_only=True)
class Fatal(WorkerMessage):
    """The worker is about to exit because it cannot work at all."""

    kind: ClassVar[str] = "fatal"
    code: str = _must(_is_name)
    message: str = _may(_is_text, "")
    detail: str = _may(_is_text, "")


@dataclass(frozen=True, kw_only=True)
class Pong(WorkerMessage):
    """The answer to `ping`."""

    kind: ClassVar[str] = "pong"
    nonce: str = _must(_is_name)


@dataclass(frozen=True, kw_only=True)
class Bye(WorkerMessage):
    """The last message before a wanted exit."""

    kind: ClassVar[str] = "bye"
    reason: str = _may(_is_text, "")


_MESSAGES: dict[str, type[WorkerMessage]] = {
    cls.kind: cls
    for cls in (Hello, Ready, State, Heartbeat, Accepted, Progress, Log, Artifact, Result, Fatal, Pong, Bye)
}
WORKER_TO_PARENT: dict[str, tuple[str, ...]] = {
    kind: tuple(item.name for item in fields(cls)) for kind, cls in _MESSAGES.items()
}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Decoder:
    """Turns the lines of one worker into messages and watches their numbers."""

    def __init__(self) -> None:
        self._expected = 0

    def decode(self, line: bytes) -> WorkerMessage | None:
        """The message of a line (without its newline); None for a type this version does not know.

        Raises `ProtocolViolationError`.
        """
        if len(line) > MAX_LINE_BYTES:
            raise ProtocolViolationError("a line is longer than 1 MiB")
        try:
            raw = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ProtocolViolationError(f"a line is not JSON: {error}") from None
        if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
            raise ProtocolViolationError("a line is not a message")
        if raw.get("v") != PROTOCOL_VERSION or not _is_int(raw["v"]):
            raise ProtocolViolationError(f"protocol version {raw.get('v')!r} is not {PROTOCOL_VERSION}")
        if raw.get("seq") != self._expected or not _is_int(raw["seq"]):
            raise ProtocolViolationError(f"message {self._expected} came as {raw.get('seq')!r}")
        self._expected += 1
        cls = _MESSAGES.get(raw["type"])
        return None if cls is None else _build(cls, raw)


def _build(cls: type[WorkerMessage], raw: Mapping[str, Any]) -> WorkerMessage:
    values: dict[str, Any] = {}
    for item in fields(cls):
        value = raw.get(item.name)
        if value is None and item.metadata.get("optional"):
            values[item.name] = None if item.default is MISSING else item.default
        elif cast(Check, item.metadata["check"])(value):
            values[item.name] = value
        else:
            raise ProtocolViolationError(f"{cls.kind!r} has a bad or missing {item.name!r}")
    return cls(**values)
