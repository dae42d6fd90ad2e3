"""Lines and messages: what is accepted, what is ignored, what is a broken protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.engines.protocol import (
    MAX_LINE_BYTES,
    Decoder,
    Encoder,
    Heartbeat,
    MessageTooLongError,
    Progress,
    ProtocolViolationError,
    Result,
    WorkerMessage,
)

PROGRESS: dict[str, Any] = {"job_id": "job_abcdefgh", "attempt": 2, "fraction": 0.5}


def line_of(kind: str = "progress", seq: int = 0, version: Any = 1, **fields: Any) -> bytes:
    return json.dumps({"v": version, "seq": seq, "type": kind, **fields}).encode()


def decoded(line: bytes) -> WorkerMessage | None:
    return Decoder().decode(line)


def test_a_message_is_read_and_what_is_optional_may_be_missing_or_null() -> None:
    message = decoded(line_of(**PROGRESS, step=None, message="half"))
    assert message == Progress(job_id="job_abcdefgh", attempt=2, fraction=0.5, message="half")
    assert decoded(line_of("heartbeat", state="idle", job_id=None)) == Heartbeat(state="idle")


def test_fields_and_types_of_a_later_version_are_ignored() -> None:
    assert isinstance(decoded(line_of(**PROGRESS, colour="blue")), Progress)
    decoder = Decoder()
    assert decoder.decode(line_of("telepathy", thought=1)) is None
    assert isinstance(decoder.decode(line_of(seq=1, **PROGRESS)), Progress)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Loading: 100%",
        b"[]",
        b"null",
        b'{"v":1,"seq":0}',
        b'{"v":1,"seq":0,"type":7}',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"v":1,"seq":0,"type":"progress","job_id":"j","attempt":1,"fraction":NaN}',
        b'{"v":1,"seq":0,"type":"progress","job_id":"j","attempt":1,"eta_s":Infinity}',
        b'{"v":1,"seq":0,"type":"progress","job_id":"j","attempt":1,"eta_s":1e999}',
        b'"' + b"x" * MAX_LINE_BYTES + b'"',
        line_of(version=2, **PROGRESS),
        line_of(version=True, **PROGRESS),
        line_of(seq=1, **PROGRESS),
        line_of(seq=-1, **PROGRESS),
        line_of(**{**PROGRESS, "fraction": 1.5}),
        line_of(**{**PROGRESS, "fraction": "half"}),
        line_of(**{**PROGRESS, "attempt": "2"}),
        line_of(**{**PROGRESS, "attempt": True}),
        line_of(**{**PROGRESS, "job_id": None}),
        line_of(**{**PROGRESS, "job_id": "x" * 300}),
        line_of(**{**PROGRESS, "message": "x" * 20_000}),
        line_of("state", state="dreaming"),
        line_of("result", job_id="j", attempt=1, ok="yes"),
        line_of("result", job_id="j", attempt=1, ok=True, data=[1]),
        line_of(
            "artifact", job_id="j", attempt=1, role="v", path="a", bytes=-1, sha256="0" * 64, media_type="x"
        ),
        line_of("artifact", job_id="j", attempt=1, role="v", path="a", bytes=1, sha256="zz", media_type="x"),
    ],
)
def test_what_is_no_message_breaks_the_protocol(line: bytes) -> None:
    with pytest.raises(ProtocolViolationError):
        decoded(line)


def test_numbers_must_come_without_a_gap_and_without_a_repetition() -> None:
    decoder = Decoder()
    decoder.decode(line_of("pong", seq=0, nonce="a"))
    decoder.decode(line_of("pong", seq=1, nonce="b"))
    with pytest.raises(ProtocolViolationError, match="message 2 came as 1"):
        decoder.decode(line_of("pong", seq=1, nonce="b"))


def test_what_we_send_is_ascii_one_line_and_numbered() -> None:
    encoder = Encoder()
    fields = {"job_id": "job_1", "attempt": 1, "reason": "用户\n取消"}
    first, second = encoder.encode("cancel", fields), encoder.encode("ping", {"nonce": "n"})
    assert first.isascii()
    assert first.count(b"\n") == 1
    assert json.loads(first) == {"v": 1, "seq": 0, "type": "cancel", **fields}
    assert json.loads(second)["seq"] == 1


def test_a_message_that_cannot_be_sent_takes_no_number() -> None:
    encoder = Encoder()
    with pytest.raises(MessageTooLongError):
        encoder.encode("ping", {"nonce": "x" * MAX_LINE_BYTES})
    with pytest.raises(ValueError, match="exactly the fields"):
        encoder.encode("ping", {"nonsense": 1})
    with pytest.raises(ValueError, match="JSON"):
        encoder.encode("ping", {"nonce": float("nan")})
    assert json.loads(encoder.encode("ping", {"nonce": "n"}))["seq"] == 0


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_no_line_of_bytes_does_anything_but_break_the_protocol(line: bytes) -> None:
    with pytest.raises(ProtocolViolationError):
        decoded(line)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(st.fixed_dictionaries(dict.fromkeys(("job_id", "attempt", "ok", "error", "data", "drain"), _JSON)))
def test_a_result_of_any_json_is_either_understood_or_a_broken_protocol(fields: dict[str, Any]) -> None:
    try:
        message = decoded(line_of("result", **fields))
    except ProtocolViolationError:
        return
    assert isinstance(message, Result)
    assert isinstance(message.ok, bool)
    assert message.data is None or isinstance(message.data, dict)
