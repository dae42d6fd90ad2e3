"""Files that lie about themselves, given to the real workers: refused, cheaply, and nobody dies of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.security.hostile_media import MIB, pictures, sounds
from tests.security.problems import ROOT, told_secret
from tests.support.served import Served, serving

pytestmark = pytest.mark.slow

# A bomb that was unpacked adds a gigabyte; a decoder that looks at a header adds next to nothing.
MAX_GROWTH_BYTES = 100 * MIB
ANSWER_WITHIN_S = 90.0
PICTURE_CODES = {"image_unreadable", "too_large", "face_not_found", "face_too_small"}
SOUND_CODES = {"audio_unreadable", "voice_too_short", "too_large"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With real workers, warm: each has done an honest task."""
    with serving(tmp_path_factory.mktemp("media"), workers={}) as running, client(running) as http:
        portrait = (ROOT / "assets" / "portraits" / "aria.png").read_bytes()
        assert http.post("/api/avatars", files={"image_file": portrait}).status_code == 201
        http.post("/api/voice/clone", files={"audio_file": b"RIFF\x24\x00\x00\x00WAVEfmt "})
        yield running


def client(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.url, trust_env=False, timeout=ANSWER_WITHIN_S)


def pid_of(http: httpx.Client, worker: str) -> int:
    (pid,) = [w["pid"] for w in http.get("/api/system").json()["workers"] if w["name"] == worker]
    assert isinstance(pid, int)
    return pid


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever held (VmHWM of proc(5)); Linux only."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def forget_peak(pid: int) -> int:
    """Begin to measure the peak anew (clear_refs of proc(5)); what the process holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return peak_bytes(pid)


@pytest.fixture(scope="module")
def made_pictures() -> dict[str, bytes]:
    return pictures()


def test_pictures_that_lie_are_refused_with_a_reason(served: Served, made_pictures: dict[str, bytes]) -> None:
    with client(served) as http:
        before = pid_of(http, "draft")
        for name, data in made_pictures.items():
            answer = http.post("/api/avatars", files={"image_file": ("me.png", data, "image/png")})
            assert answer.status_code in (413, 422), (name, answer.text)
            assert answer.json()["code"] in PICTURE_CODES, (name, answer.text)
            assert told_secret(answer.content, served.settings.data_dir.parent) is None
            assert pid_of(http, "draft") == before, f"the worker died of {name}"
            assert not list(served.settings.work_dir.iterdir())


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="Linux alone tells the peak memory of a process"
)
def test_no_picture_bomb_makes_the_worker_or_the_service_grow_by_a_hundred_megabytes(
    served: Served, made_pictures: dict[str, bytes]
) -> None:
    with client(served) as http:
        pids = pid_of(http, "draft"), psutil.Process().pid
        for name, data in made_pictures.items():
            before = [forget_peak(pid) for pid in pids]
            http.post("/api/avatars", files={"image_file": data})
            for pid, start in zip(pids, before, strict=True):
                assert peak_bytes(pid) - start < MAX_GROWTH_BYTES, name


@pytest.fixture(scope="module")
def made_sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return sounds(tmp_path_factory.mktemp("sounds"))


def test_sounds_that_lie_are_refused_with_a_reason_and_cost_little(
    served: Served, made_sounds: dict[str, bytes]
) -> None:
    with client(served) as http:
        honest = http.post("/api/voice/clone", files={"audio_file": made_sounds["192 kHz"]})
        assert honest.json()["code"] in SOUND_CODES
        before = pid_of(http, "speech")
        is_linux = sys.platform.startswith("linux")
        start = forget_peak(before) if is_linux else 0
        for name, data in made_sounds.items():
            answer = http.post("/api/voice/clone", files={"audio_file": ("a.wav", data, "audio/wav")})
            assert answer.status_code in (413, 422), (name, answer.text)
            assert answer.json()["code"] in SOUND_CODES, (name, answer.text)
            assert told_secret(answer.content, served.settings.data_dir.parent) is None
            assert not list(served.settings.work_dir.iterdir())
            assert pid_of(http, "speech") == before, f"the worker died of {name}"
            if is_linux:
                assert peak_bytes(before) - start < MAX_GROWTH_BYTES, name


def test_after_all_that_an_honest_portrait_is_still_taken(served: Served) -> None:
    portrait = (ROOT / "assets" / "portraits" / "aria_512.jpg").read_bytes()
    with client(served) as http:
        answer = http.post("/api/avatars", files={"image_file": portrait})
        assert answer.status_code == 201, answer.text
        assert len(answer.json()["faces"]) == 1
