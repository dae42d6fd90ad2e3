"""Spoken utterances kept on disk by content. Runs in the speech worker.

Flow: what fully determines an utterance (symbols, voice, speed, pitch, model) -> sha256 -> one file with samples
and durations. An edited script therefore speaks only the sentences that changed.

A file is written beside its place and renamed, carries the sha256 of its body, and is recomputed when that does
not fit. The folder is bounded in bytes; the files that were used longest ago go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from workers.speech.kokoro import Clip, Voice

# Raised when an utterance made from the same symbols would come out differently (trimming, levels, this format).
CACHE_VERSION = 2
# 1.5 hours of speech at 48,000 bytes a second; a small part of what one rendered video costs.
MAX_BYTES = 256 << 20
# When full, free down to this share, so that not every new sentence has to list the folder's victims.
_KEEP_SHARE = 0.9
_MAGIC = b"AIOS"
_SUFFIX = ".clip"
# A leftover of an interrupted write older than this is rubbish.
_STALE_S = 3600.0
_TEMPORARY = "new-"


class Keyed(Protocol):
    """Whatever determines a clip."""

    def key(self) -> str:
        """Hex name; the same for what sounds the same, and never for anything else."""


@dataclass(frozen=True)
class Utterance:
    """All that decides how an utterance sounds."""

    symbols: str
    voice: Voice
    speed: float
    model_sha256: str

    def key(self) -> str:
        """Hex name of this utterance."""
        parts = [
            CACHE_VERSION,
            self.symbols,
            self.voice.fingerprint,
            round(self.voice.gain_db, 3),
            round(self.voice.f0_gain, 4),
            round(self.voice.f0_bias, 2),
            round(self.speed, 4),
            self.model_sha256,
        ]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


class ClipCache:
    """The folder. One process uses it at a time; a second one would only cost it some files."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES, warn: Callable[[str], None]) -> None:
        """`folder` is made when first written. `warn` gets a sentence about each damaged or unwritable file."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._warn = warn
        self._bytes: int | None = None

    def get(self, utterance: Keyed) -> Clip | None:
        """The kept clip, None when there is none that is whole."""
        path = self._path(utterance)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"a kept sentence could not be read: {error}")
            return None
        try:
            clip = _decode(raw)
        except ValueError as error:
            self._warn(f"a kept sentence is damaged and is made again: {error}")
            self._forget(path)
            return None
        self._touch(path)
        return clip

    def put(self, utterance: Keyed, clip: Clip) -> None:
        """Keep a clip. A full or read-only disk costs the cache, never the job."""
        raw = _encode(clip)
        if len(raw) > self._max_bytes:
            return
        path = self._path(utterance)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(raw)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            self._warn(f"a sentence could not be kept: {error}")
            return
        self._bytes = self._measure() if self._bytes is None else self._bytes + len(raw)
        if self._bytes > self._max_bytes:
            self._evict()

    def _path(self, utterance: Keyed) -> Path:
        return self._folder / f"{utterance.key()}{_SUFFIX}"

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except OSError:
                continue  # removed by somebody else meanwhile
            found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _measure(self) -> int:
        files = self._files()
        newest = max((moment for moment, _, _ in files), default=0.0)
        for moment, _, path in files:
            if path.name.startswith(_TEMPORARY) and newest - moment > _STALE_S:
                self._forget(path)
        return sum(size for _, size, path in files if path.suffix == _SUFFIX)

    def _evict(self) -> None:
        files = [entry for entry in self._files() if entry[2].suffix == _SUFFIX]
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self._max_bytes * _KEEP_SHARE:
                break
            self._forget(path)
            total -= size
        self._bytes = total

    def _forget(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(f"a kept sentence could not be removed: {error}")

    def _touch(self, path: Path) -> None:
        try:
            os.utime(path)
        except OSError as error:
            self._warn(f"the age of a kept sentence could not be set: {error}")


def _encode(clip: Clip) -> bytes:
    """magic, sha256 of the rest, counts, durations as uint32, samples as int16, all little-endian."""
    durations = np.asarray(clip.token_samples, "<u4").tobytes()
    samples = to_pcm(clip.samples)
    body = struct.pack("<II", len(clip.token_samples), len(clip.samples)) + durations + samples
    return _MAGIC + hashlib.sha256(body).digest() + body


def _decode(raw: bytes) -> Clip:
    head = len(_MAGIC) + 32
    body = raw[head:]
    if raw[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != raw[len(_MAGIC) : head]:
        raise ValueError("its checksum is wrong")
    tokens, count = struct.unpack_from("<II", body)
    if len(body) != 8 + 4 * tokens + 2 * count:
        raise ValueError("its length is wrong")
    durations = np.frombuffer(body, "<u4", tokens, 8)
    samples = np.frombuffer(body, "<i2", count, 8 + 4 * tokens).astype(np.float32) / 32767.0
    return Clip(samples.astype(np.float32), tuple(int(length) for length in durations))


def to_pcm(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bytes:
    """16-bit little-endian samples of floats in -1..1."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
