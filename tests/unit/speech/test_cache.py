"""The sentence cache: same content, same file; bounded; a damaged file is made again."""

import os
from pathlib import Path

import numpy as np
import pytest

from workers.speech.cache import ClipCache, Utterance
from workers.speech.kokoro import Clip, Voice


def voice(fingerprint: str = "v", gain_db: float = 0.0) -> Voice:
    return Voice("n", "en", np.zeros((510, 256), np.float32), fingerprint, gain_db=gain_db)


def clip(seed: int = 0, length: int = 500) -> Clip:
    samples = np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    return Clip(samples, (100, length - 100))


def utterance(symbols: str = "abc", **changes: object) -> Utterance:
    fields = {"symbols": symbols, "voice": voice(), "speed": 1.0, "model_sha256": "m"} | changes
    return Utterance(**fields)  # type: ignore[arg-type]


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    warnings: list[str] = []
    cache = ClipCache(tmp_path / "speech", warn=warnings.append)
    assert cache.get(utterance()) is None
    cache.put(utterance(), clip())
    kept = cache.get(utterance())
    assert kept is not None
    assert kept.token_samples == (100, 400)
    assert np.allclose(kept.samples, clip().samples, atol=1 / 32767)
    assert warnings == []
    assert [path.suffix for path in (tmp_path / "speech").iterdir()] == [".clip"]


@pytest.mark.parametrize(
    "other",
    [
        utterance("abd"),
        utterance(voice=voice("w")),
        utterance(voice=voice(gain_db=1.0)),
        utterance(speed=1.1),
        utterance(model_sha256="n"),
    ],
)
def test_everything_that_changes_the_sound_changes_the_name(other: Utterance) -> None:
    assert other.key() != utterance().key()


@pytest.mark.parametrize("damage", [b"", b"AIOS", b"x" * 3000])
def test_a_damaged_file_counts_as_missing_and_is_removed(tmp_path: Path, damage: bytes) -> None:
    warnings: list[str] = []
    cache = ClipCache(tmp_path, warn=warnings.append)
    cache.put(utterance(), clip())
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert cache.get(utterance()) is None
    assert not path.exists()
    assert len(warnings) == 1


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, warn=lambda _: None)
    cache.put(utterance(), clip())
    (path,) = tmp_path.iterdir()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert cache.get(utterance()) is None


def test_the_folder_is_bounded_and_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, max_bytes=5_000, warn=lambda _: None)
    for number in range(4):
        cache.put(utterance(str(number)), clip(number))
        for path in tmp_path.iterdir():
            status = path.stat()
            os.utime(path, (status.st_atime - 10, status.st_mtime - 10))
    assert cache.get(utterance("0")) is not None  # used just now
    cache.put(utterance("4"), clip(4))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5_000
    assert cache.get(utterance("0")) is not None
    assert cache.get(utterance("4")) is not None
    assert cache.get(utterance("1")) is None


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_job(tmp_path: Path) -> None:
    warnings: list[str] = []
    blocked = tmp_path / "file"
    blocked.write_text("")
    cache = ClipCache(blocked, warn=warnings.append)
    cache.put(utterance(), clip())
    assert len(warnings) == 1
