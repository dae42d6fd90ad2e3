"""Turns become one recording, two tracks of its length and one time line."""

from __future__ import annotations

import itertools
import json
import struct
import wave
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.media.wav_join import SAMPLE_RATE, JoinedTurns, SpokenTurn, join_turns


def a_turn(
    folder: Path, speaker: int, level: int, *, seconds: float = 0.5, edge_s: float = 0.1
) -> SpokenTurn:
    """`level` for `seconds`, with silence of `edge_s` around it; one sentence of one word."""
    name = f"{len(list(folder.iterdir()))}"
    wav, timings = folder / f"{name}.wav", folder / f"{name}.json"
    edge = bytes(2 * round(edge_s * SAMPLE_RATE))
    with wave.open(str(wav), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(edge + struct.pack("<h", level) * round(seconds * SAMPLE_RATE) + edge)
    times = {"start_s": edge_s, "end_s": edge_s + seconds}
    sentence = {
        "index": 0,
        "text": "Hi.",
        **times,
        "words": [{"text": "Hi.", "offset": 0, "estimated": True, **times}],
        "phonemes": [{"symbol": "h", **times}],
    }
    timings.write_text(json.dumps({"version": 1, "sentences": [sentence]}), encoding="utf-8")
    return SpokenTurn(speaker, wav, timings)


def samples(path: Path) -> list[int]:
    with wave.open(str(path), "rb") as source:
        return list(memoryview(source.readframes(source.getnframes())).cast("h"))


def join(turns: list[SpokenTurn | None], folder: Path, pause_s: float = 0.3) -> JoinedTurns:
    return join_turns(turns, folder, head={"engine": "x"}, pause_s=pause_s, cancelled=lambda: False)


def test_both_tracks_are_as_long_as_the_whole_and_silent_in_turn(tmp_path: Path) -> None:
    turns: list[SpokenTurn | None] = [
        a_turn(tmp_path, 0, 100),
        a_turn(tmp_path, 1, 200),
        a_turn(tmp_path, 0, 300),
    ]
    joined = join(turns, tmp_path / "out")
    whole, first, second = samples(joined.wav), samples(joined.tracks[0]), samples(joined.tracks[1])
    assert len(whole) == len(first) == len(second) == round(joined.duration_s * SAMPLE_RATE)
    assert set(first) == {0, 100, 300}
    assert set(second) == {0, 200}
    assert [a + b for a, b in zip(first, second, strict=True)] == whole


@pytest.mark.parametrize(
    ("pause_s", "edge_s", "gap_s"), [(0.3, 0.1, 0.3), (0.0, 0.1, 0.2), (1.0, 0.0, 1.0), (0.3, 0.6, 1.2)]
)
def test_the_pause_between_turns_counts_what_the_engines_leave_at_the_edges(
    tmp_path: Path, pause_s: float, edge_s: float, gap_s: float
) -> None:
    turns: list[SpokenTurn | None] = [a_turn(tmp_path, who, 5, edge_s=edge_s) for who in (0, 1, 0)]
    joined = join(turns, tmp_path / "out", pause_s)
    sentences = json.loads(joined.timings.read_text("utf-8"))["sentences"]
    for before, after in itertools.pairwise(sentences):
        assert after["start_s"] - before["end_s"] == pytest.approx(gap_s, abs=1e-3)
    # The time line says where the sound is.
    whole = samples(joined.wav)
    for sentence in sentences:
        start = round(sentence["start_s"] * SAMPLE_RATE)
        assert whole[start + 1] == 5
        assert not edge_s or whole[start - 2] == 0


def test_one_time_line_says_who_speaks_and_keeps_what_the_engine_said(tmp_path: Path) -> None:
    turns: list[SpokenTurn | None] = [a_turn(tmp_path, 1, 5), None, a_turn(tmp_path, 0, 5)]
    joined = join(turns, tmp_path / "out")
    assert joined.sentences == (1, 0, 1)
    document = json.loads(joined.timings.read_text("utf-8"))
    assert (document["version"], document["engine"]) == (1, "x")
    assert document["duration_s"] == pytest.approx(joined.duration_s, abs=1e-3)
    assert [(entry["index"], entry["speaker"]) for entry in document["sentences"]] == [(0, 1), (1, 0)]
    last = document["sentences"][1]
    assert last["words"][0]["speaker"] == 0
    assert last["words"][0]["estimated"] is True
    assert last["words"][0]["start_s"] == last["phonemes"][0]["start_s"] == last["start_s"]


def test_sound_of_another_shape_and_broken_timings_are_no_output(tmp_path: Path) -> None:
    good = a_turn(tmp_path, 0, 5)
    stereo = tmp_path / "stereo.wav"
    with wave.open(str(stereo), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(bytes(400))
    broken = tmp_path / "broken.json"
    broken.write_text('{"sentences": [{"start_s": "soon"}]}', encoding="utf-8")
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no sound")
    for turn in (
        SpokenTurn(1, stereo, good.timings),
        SpokenTurn(1, noise, good.timings),
        SpokenTurn(1, good.wav, broken),
    ):
        with pytest.raises(EngineFailure) as caught:
            join([good, turn], tmp_path / "out")
        assert caught.value.code is ErrorCode.NO_OUTPUT


def test_a_cancel_stops_between_two_turns(tmp_path: Path) -> None:
    with pytest.raises(JobCancelled):
        join_turns([a_turn(tmp_path, 0, 5)], tmp_path / "out", head={}, pause_s=0.3, cancelled=lambda: True)
