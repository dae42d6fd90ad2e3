"""Reading a chat model's answer: good servers are understood, bad ones are ended in time and told in a sentence."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import JobCancelled, ProductError
from backend.utils.chat_client import ChatLimits, ChatPiece, ChatServer, stream_chat
from tests.support.chat_server import ChatHost, Line, chat_host, delta, finish

QUICK = ChatLimits(connect_s=1.0, first_piece_s=0.5, quiet_s=0.5, total_s=2.0, poll_s=0.02)
KEY = "sk-very-secret-key"


async def read(host: ChatHost, limits: ChatLimits = QUICK, **options: Any) -> list[ChatPiece]:
    server = ChatServer(host.url, "The test server", KEY)
    return [piece async for piece in stream_chat(server, {"model": "tiny"}, limits=limits, **options)]


async def failure(host: ChatHost, limits: ChatLimits = QUICK) -> ProductError:
    with pytest.raises(ProductError) as caught:
        await read(host, limits)
    assert KEY not in f"{caught.value.detail}{caught.value.hint}"
    assert caught.value.hint
    return caught.value


def text_of(pieces: list[ChatPiece]) -> str:
    return "".join(piece.text for piece in pieces if not piece.is_thought)


async def test_an_answer_comes_in_pieces_and_ends_with_its_reason() -> None:
    async with chat_host() as host:
        host.will(lambda line: line.say("Hel", "lo ", "世界"))
        pieces = await read(host)
        assert pieces == [ChatPiece("Hel"), ChatPiece("lo "), ChatPiece("世界"), ChatPiece(finish="stop")]
        (line,) = host.seen
        assert line.path == "/v1/chat/completions"
        assert line.headers["authorization"] == f"Bearer {KEY}"
        assert line.headers["accept-encoding"] == "identity"
        assert line.json() == {"model": "tiny", "stream": True}


async def test_thoughts_in_either_field_are_told_apart() -> None:
    async def talk(line: Line) -> None:
        await line.head()
        await line.raw(b": keep-alive\n\nevent: x\nid: 7\n")
        await line.chunk({"choices": [{"delta": {"role": "assistant", "content": None}}]})
        await line.chunk({"choices": [{"delta": {"reasoning_content": "hm"}}]})
        await line.chunk({"choices": [{"delta": {"reasoning": "so", "content": ""}}]})
        await line.chunk(delta("Tea."))
        await line.chunk({"choices": [], "usage": {"total_tokens": 3}})
        await line.raw(b"data: [DONE]\n\n")

    async with chat_host() as host:
        host.will(talk)
        pieces = await read(host)
        assert text_of(pieces) == "Tea."
        assert [piece.text for piece in pieces if piece.is_thought] == ["hm", "so"]


async def test_bytes_may_be_cut_anywhere() -> None:
    async def talk(line: Line) -> None:
        await line.head()
        data = "".join(
            f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n" for chunk in (delta("茶🍵"), finish())
        ).encode()
        for at in range(len(data)):
            await line.raw(data[at : at + 1])
            await asyncio.sleep(0)

    async with chat_host() as host:
        host.will(talk)
        assert text_of(await read(host)) == "茶🍵"


async def test_a_server_that_does_not_stream_is_understood() -> None:
    async with chat_host() as host:
        host.will(lambda line: line.answer({"choices": [{"message": {"content": "Tea."}}]}))
        assert text_of(await read(host)) == "Tea."


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, {"error": {"message": f"bad key {KEY}"}}, ErrorCode.SCRIPT_FAILED, "refused the key"),
        (403, {}, ErrorCode.SCRIPT_FAILED, "refused the key"),
        (404, {"error": "model 'tiny' not found"}, ErrorCode.SCRIPT_MODEL_MISSING, "model 'tiny' not found"),
        (429, {"error": {"message": "slow down"}}, ErrorCode.SCRIPT_FAILED, "slow down"),
        (
            500,
            {"error": {"message": f"no\nmemory {KEY}"}},
            ErrorCode.SCRIPT_FAILED,
            'It says: "no memory ***"',
        ),
        (503, ["x"], ErrorCode.SCRIPT_FAILED, "status 503"),
        (500, {"error": {"message": "x" * 100_000}}, ErrorCode.SCRIPT_FAILED, "status 500"),
        (204, {}, ErrorCode.SCRIPT_FAILED, "status 204"),
    ],
)
async def test_a_refusal_is_told_in_a_sentence(status: int, body: Any, code: ErrorCode, words: str) -> None:
    async with chat_host() as host:
        host.will(lambda line: line.answer(body, status))
        error = await failure(host)
    assert error.code is code
    assert words in error.detail
    assert len(error.detail) < 400


async def test_a_redirect_is_not_followed() -> None:
    async with chat_host() as elsewhere, chat_host() as host:
        elsewhere.will(lambda line: line.say("You should not be here."))
        host.will(lambda line: line.head(307, Location=f"{elsewhere.url}/chat/completions"))
        error = await failure(host)
        assert "another address" in error.detail
        assert elsewhere.seen == []


async def _silent(line: Line) -> None:
    await line.until_hung_up()


async def _silent_after_the_head(line: Line) -> None:
    await line.head()
    await line.until_hung_up()


async def _silent_after_a_word(line: Line) -> None:
    await line.head()
    await line.chunk(delta("Tea"))
    await line.until_hung_up()


async def _only_comments(line: Line) -> None:
    await line.head()
    while True:
        await line.raw(b": keep-alive\n\n")
        await asyncio.sleep(0.02)


async def _drips(line: Line) -> None:
    await line.head()
    while True:
        await line.chunk(delta("a"))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "talk", [_silent, _silent_after_the_head, _silent_after_a_word, _only_comments, _drips]
)
async def test_whoever_takes_too_long_is_left(talk: Any) -> None:
    async with chat_host() as host:
        host.will(talk)
        error = await failure(host)
    assert error.code is ErrorCode.SCRIPT_FAILED
    assert "in time" in error.detail


async def _no_json(line: Line) -> None:
    await line.head()
    await line.raw(b"data: {nonsense\n\n")


async def _a_list(line: Line) -> None:
    await line.head()
    await line.raw(b"data: [1]\n\n")


async def _deep(line: Line) -> None:
    await line.head()
    await line.raw(b"data: " + b"[" * 200_000 + b"\n\n")


async def _no_text_but_bytes(line: Line) -> None:
    await line.head()
    await line.raw(b"data: \xff\xfe\n\n")


async def _error_in_the_middle(line: Line) -> None:
    await line.head()
    await line.chunk(delta("Tea"))
    await line.chunk({"error": {"message": f"out of memory {KEY}"}})


async def _error_as_a_field(line: Line) -> None:
    await line.head()
    await line.raw(b'error: {"code":500,"message":"x"}\n\n')


async def _stops_without_a_word(line: Line) -> None:
    await line.head()
    await line.chunk(delta("Tea is"))


async def _breaks_off(line: Line) -> None:
    await line.head(Content_Length="5000")
    await line.chunk(delta("Tea is"))


async def _a_page(line: Line) -> None:
    await line.head(kind="text/html")
    await line.raw(b"<html>Welcome</html>")


async def _packed(line: Line) -> None:
    await line.head(Content_Encoding="gzip")
    await line.raw(gzip.compress(b"data: " + b"a" * (64 << 20)))


async def _packed_refusal(line: Line) -> None:
    await line.head(500, "application/json", Content_Encoding="gzip")
    await line.raw(gzip.compress(b'{"error": "' + b"a" * (64 << 20)))


async def _no_end_of_line(line: Line) -> None:
    await line.head()
    while True:
        await line.raw(b"data: " + b"a" * 65_536)


async def _no_end(line: Line) -> None:
    await line.head()
    while True:
        await line.chunk(delta("a" * 60_000))


async def _no_http(line: Line) -> None:
    await line.raw(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.mark.parametrize(
    "talk",
    [
        *(_no_json, _a_list, _deep, _no_text_but_bytes, _error_in_the_middle, _error_as_a_field),
        *(_stops_without_a_word, _breaks_off, _a_page, _packed, _packed_refusal, _no_end_of_line, _no_end),
        _no_http,
    ],
)
async def test_nonsense_is_told_as_such_and_never_taken_for_a_text(talk: Any) -> None:
    limits = ChatLimits(first_piece_s=20, quiet_s=20, total_s=60, max_bytes=1 << 20, max_line_bytes=1 << 18)
    async with chat_host() as host:
        host.will(talk)
        error = await failure(host, limits)
    assert error.code is ErrorCode.SCRIPT_FAILED
    assert "in time" not in error.detail


async def test_nobody_at_the_address_is_a_sentence() -> None:
    async with chat_host() as host:
        pass
    assert "cannot be reached" in (await failure(host)).detail


async def _gushes(line: Line) -> None:
    await line.head()
    while True:
        await line.chunk(delta("a"))


@pytest.mark.parametrize("talk", [_silent, _silent_after_a_word, _drips, _gushes])
async def test_a_cancel_hangs_up(talk: Any) -> None:
    stop = asyncio.Event()

    async def talking(line: Line) -> None:
        asyncio.get_running_loop().call_later(0.05, stop.set)
        await asyncio.gather(talk(line), line.until_hung_up(), return_exceptions=True)

    limits = ChatLimits(poll_s=0.02)
    async with chat_host() as host:
        host.will(talking)
        with pytest.raises(JobCancelled):
            await read(host, limits, cancelled=stop.is_set)


async def test_whoever_stops_reading_hangs_up() -> None:
    gone = asyncio.Event()

    async def talk(line: Line) -> None:
        await line.head()
        await line.chunk(delta("Tea"))
        await line.until_hung_up()
        gone.set()

    async with chat_host() as host:
        host.will(talk)
        stream = stream_chat(ChatServer(host.url, "x"), {"model": "tiny"}, limits=ChatLimits())
        assert (await anext(stream)).text == "Tea"
        await stream.aclose()
        await asyncio.wait_for(gone.wait(), 20)
    assert "authorization" not in host.seen[0].headers


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with chat_host() as proxy, chat_host() as host:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        host.will(lambda line: line.say("Tea."))
        assert text_of(await read(host)) == "Tea."
        assert proxy.seen == []


def test_the_key_is_in_no_representation() -> None:
    assert KEY not in repr(ChatServer("http://x/v1", "x", KEY))
