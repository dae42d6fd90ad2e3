"""The stand-in for Wan2GP does what the real one did: every recorded case, its events, messages, results and files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.media_samples import FFMPEG, make_speech, make_video
from tests.support.fake_wan2gp import FIXTURE, FakeWan2GP

RECORDED = {
    name: json.loads((FIXTURE / "recorded" / f"{name}.json").read_text("utf-8"))
    for name in ("flow", "models", "more")
}
CASES = [(run, name) for run, cases in RECORDED.items() for name in cases]
# The recording's own speech: 3, 12.3, 2 and 5 seconds.
SPEECH = {"a3s": 3.0, "a12s": 12.3, "b2s": 2.0, "b5s": 5.0}
_TIMES = re.compile(r"\d+\.\d+s")
_CLASS = re.compile(r"^[\w.]+Error: ")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("fake_wan2gp")
    media = folder / "media"
    media.mkdir()
    Image.new("RGB", (300, 300), (90, 120, 160)).save(media / "face.png")
    Image.new("RGB", (270, 480), (90, 120, 160)).save(media / "tall.png")
    for frames in (5, 9, 13):
        make_video(media / f"before{frames}.mp4", frames / 25, size="256x256")
    for name, seconds in SPEECH.items():
        make_speech(media / f"{name}.wav", seconds, "-ar", "16000")

    @cache
    def run(name: str) -> dict[str, Any]:
        fake = FakeWan2GP(folder / name / "engine")
        recorded, answer = FIXTURE / "recorded" / f"{name}.json", folder / f"{name}.json"
        command = [sys.executable, *map(str, (FIXTURE / "replay.py", fake.root, media, recorded, answer))]
        done = subprocess.run(command, capture_output=True, timeout=110, text=True)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        return found

    return run


def told(events: list[list[Any]], *, is_settled: bool) -> list[list[Any]]:
    """Events without lines of output (another thread sends those) and without how long anything took.

    Phase, percentage and counters of a progress event are made when it is read, not when it is sent: what they are
    depends on how busy the machine of the recording was. In `more` only the words of the status count.
    """
    found = []
    for event in events:
        if event[0] in ("stream", "preview"):
            continue
        plain = [_TIMES.sub("0s", part) if isinstance(part, str) else part for part in event]
        found.append(plain if is_settled or event[0] != "progress" else [event[0], plain[2]])
    return found


def printed(events: list[list[Any]]) -> list[str]:
    """Lines of output: no source lines of tracebacks, no folders, no class of what was raised, nothing on stderr."""
    lines = [event[2] for event in events if event[0] == "stream" and event[1] == "stdout"]
    return [_CLASS.sub("", re.sub(r"(?<=Path: ).*", "", line)) for line in lines if not line.startswith("  ")]


def kinds_with_previews(events: list[list[Any]]) -> list[Any]:
    return [
        event[0] if event[0] != "preview" else [*event[:4], *event[5:]]
        for event in events
        if event[0] != "stream"
    ]


@pytest.mark.parametrize(("run", "name"), CASES)
def test_a_recorded_run_goes_as_it_went(replayed: Any, run: str, name: str) -> None:
    wanted, found = RECORDED[run][name], replayed(run)[name]
    is_settled = run != "more"
    events = told(wanted["events"], is_settled=is_settled)
    # The recording of a long run stops before its end.
    there = told(found["events"], is_settled=is_settled)
    if not wanted["events_complete"]:
        there = there[: len(events)]
    assert there == events
    lines = printed(wanted["events"])
    assert printed(found["events"])[: len(lines)] == lines
    if wanted["events_complete"]:
        assert len(printed(found["events"])) == len(lines)
    assert sum(note["what"] == "load" for note in found["notes"]) == (
        0 if "load_oom" in name else wanted["loads"]
    )
    result = {key: wanted["result"][key] for key in ("success", "errors", "ok", "failed", "cancelled")}
    assert {key: found["result"][key] for key in result} == result
    assert len(found["result"]["names"]) == wanted["result"]["files"]


@pytest.mark.parametrize(
    "name", [name for name, case in RECORDED["flow"].items() if case["result"]["success"]]
)
def test_previews_come_as_they_came(replayed: Any, name: str) -> None:
    wanted, found = RECORDED["flow"][name]["events"], replayed("flow")[name]["events"]
    assert kinds_with_previews(found) == kinds_with_previews(wanted)


@pytest.mark.parametrize(("run", "name"), CASES)
def test_the_model_is_asked_for_what_it_was_asked_for(replayed: Any, run: str, name: str) -> None:
    calls = [note for note in replayed(run)[name]["notes"] if note["what"] == "call"]
    wanted = RECORDED[run][name]["calls"]
    assert len(calls) == len(wanted)
    for call, recorded in zip(calls, wanted, strict=True):
        for key in ("audio_guide", "audio_guide2"):
            call[key] = Path(call[key]).name if call.get(key) else None
        both = call.keys() & recorded.keys()
        assert {key: call[key] for key in both} == {key: recorded[key] for key in both}
        assert {"sampling_steps"} <= both


@pytest.mark.parametrize(
    ("run", "name"), [(run, name) for run, name in CASES if RECORDED[run][name]["probes"]]
)
def test_the_files_are_as_long_and_as_large_as_they_were(replayed: Any, run: str, name: str) -> None:
    files = [Path(path) for path in replayed(run)[name]["files"]]
    wanted = RECORDED[run][name]["probes"]
    assert len(files) == len(wanted)
    for file, probe in zip(files, wanted, strict=True):
        if name == "infinitetalk_single" and file != files[-1]:
            continue  # the recording probed the same kind of file in infinitetalk_start_img
        measured = measure(file)
        if probe["frames"] is None:
            assert "pcm_s16le" in measured["about"]
            assert measured["seconds"] == probe["seconds"]
            continue
        assert measured["frames"] == probe["frames"]
        assert f"{probe['size'][0]}x{probe['size'][1]}" in measured["about"]
        assert f"{probe['fps'].partition('/')[0]} fps" in measured["about"]
        assert ("aac" in measured["about"] and "16000 Hz, mono" in measured["about"]) is bool(probe["audio"])


def measure(file: Path) -> dict[str, Any]:
    command = [str(FFMPEG.binary), "-nostdin", "-i", str(file), "-map", "0", "-c", "copy", "-f", "null", "-"]
    about = subprocess.run(command, capture_output=True, timeout=60, check=True).stderr.decode()
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", about).groups()  # type: ignore[union-attr]
    frames = re.findall(r"frame=\s*(\d+)", about)
    return {
        "about": about,
        "frames": int(frames[-1]) if frames else None,
        "seconds": int(hours) * 3600 + int(minutes) * 60 + float(seconds),
    }


def test_the_recording_of_a_name_that_is_taken(replayed: Any) -> None:
    first, second = (
        replayed("flow")[name]["result"]["names"] for name in ("output_filename", "output_filename_again")
    )
    assert (first, second) == (["job-123.mp4"], ["job-123(2).mp4"])
