"""Encodes sound while it is still being made: PCM goes in piece by piece, the format comes out piece by piece.

Runs in the service process; ffmpeg is a child between two pipes. What goes in is our own (24 kHz, mono, 16 bit), so
nothing is sniffed and nothing is decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.logger import app_logger
from backend.utils.media.ffmpeg import mortal_command

SAMPLE_RATE_HZ = 24_000
SAMPLE_BYTES = 2
READ_BYTES = 32 << 10
# After its last sample an encoder needs moments; one that does not end is ended.
END_WAIT_S = 10.0
_STDERR_BYTES = 4096


@dataclass(frozen=True)
class SpeechCodec:
    """What ffmpeg is told, and what the answer is called."""

    media_type: str
    arguments: tuple[str, ...]


# Rates of speech that nobody hears a difference at, and that every player takes at 24 kHz.
CODECS = {
    "mp3": SpeechCodec("audio/mpeg", ("-c:a", "libmp3lame", "-b:a", "96k", "-write_xing", "0", "-f", "mp3")),
    "opus": SpeechCodec(
        "audio/opus", ("-c:a", "libopus", "-b:a", "48k", "-application", "voip", "-f", "ogg")
    ),
    "aac": SpeechCodec("audio/aac", ("-c:a", "aac", "-b:a", "96k", "-f", "adts")),
    "flac": SpeechCodec("audio/flac", ("-c:a", "flac", "-f", "flac")),
}
WAV_TYPE, PCM_TYPE = "audio/wav", "audio/pcm"


def media_type_of(name: str) -> str:
    """Content-Type of a response format."""
    return CODECS[name].media_type if name in CODECS else WAV_TYPE if name == "wav" else PCM_TYPE


def wav_file(pcm: bytes) -> bytes:
    """A whole WAV: the header knows the length, as every player likes it."""
    rate, block = SAMPLE_RATE_HZ, SAMPLE_BYTES
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * block, block, 8 * block),
        *(b"data", len(pcm)),
    )
    return head + pcm


async def encoded(binary: Path, name: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`pieces` of PCM as `name` (mp3, opus, aac, flac, wav, pcm). Raises what `pieces` raises, and EngineFailure.

    `wav` comes in one piece at the end, because its first bytes say how long it is.
    """
    if name == "pcm":
        async for piece in pieces:
            yield piece
        return
    if name == "wav":
        pcm = bytearray()
        async for piece in pieces:
            pcm += piece
        yield wav_file(bytes(pcm))
        return
    async with _Encoder(binary, CODECS[name]) as encoder:
        feeding = asyncio.create_task(encoder.feed(pieces), name="speech-encoder")
        try:
            while chunk := await encoder.read():
                yield chunk
            await feeding
            await encoder.end()
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({feeding})


class _Encoder:
    """One run of ffmpeg."""

    def __init__(self, binary: Path, codec: SpeechCodec) -> None:
        rate = str(SAMPLE_RATE_HZ)
        self._argv = mortal_command(
            [
                *(
                    str(binary),
                    "-hide_banner",
                    "-loglevel",
                    "error",
                    "-nostdin",
                    "-protocol_whitelist",
                    "pipe",
                ),
                *("-f", "s16le", "-ar", rate, "-ac", "1", "-i", "pipe:0", *codec.arguments),
                *("-flush_packets", "1", "pipe:1"),
            ]
        )
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> _Encoder:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                # On Windows: no console window flashes up. The name exists only there.
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise _failed("it could not be started") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise AssertionError("used before it was entered")
        return self._process

    async def feed(self, pieces: AsyncIterator[bytes]) -> None:
        stdin = self._running().stdin
        if stdin is None:
            raise AssertionError("opened with a pipe")
        try:
            async for piece in pieces:
                stdin.write(piece)
                await stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _failed("it ended early") from error
        finally:
            # Its end of input, also when the pieces broke off: the reader must not wait for ever.
            stdin.close()

    async def read(self) -> bytes:
        stdout = self._running().stdout
        if stdout is None:
            raise AssertionError("opened with a pipe")
        return await stdout.read(READ_BYTES)

    async def end(self) -> None:
        process = self._running()
        try:
            status = await asyncio.wait_for(process.wait(), END_WAIT_S)
        except asyncio.TimeoutError as error:
            raise _failed("it did not end") from error
        if status:
            tail = await process.stderr.read(_STDERR_BYTES) if process.stderr else b""
            app_logger.error("the encoder failed: %s", tail.decode("utf-8", "replace"))
            raise _failed(f"it ended with status {status}")


def _failed(why: str) -> EngineFailure:
    return EngineFailure(
        ErrorCode.NO_OUTPUT,
        f"The sound could not be encoded: {why}.",
        hint="Ask for `wav` or `pcm`, which need no encoder; logs/app.log has the reason.",
    )
