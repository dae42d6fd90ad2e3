"""The speaker encoder: its windows, its level, its network against the formulas written out plainly."""

from pathlib import Path

import numpy as np
import pytest

from workers.handler import TaskError
from workers.speech.speaker import EMBEDDING_SIZE, SpeakerEncoder, _lstm, window_starts

ASSETS = Path(__file__).resolve().parents[3] / "assets"


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    return SpeakerEncoder(ASSETS)


def voiced(hz: float, seconds: float = 2.0, slope: float = 1.0, seed: int = 0) -> np.ndarray:
    t = np.arange(round(seconds * 16_000)) / 16_000
    parts = [np.sin(2 * np.pi * hz * k * t) / k**slope for k in range(1, 20)]
    noise = np.random.default_rng(seed).normal(0, 0.002, len(t))
    return np.asarray(
        0.05 * np.sum(parts, axis=0) * (1 + 0.5 * np.sin(2 * np.pi * 4 * t)) + noise, np.float32
    )


def test_a_vector_has_length_one_and_does_not_depend_on_loudness(encoder: SpeakerEncoder) -> None:
    loud = encoder.embed(voiced(120))
    assert loud.shape == (EMBEDDING_SIZE,)
    assert np.linalg.norm(loud) == pytest.approx(1, abs=1e-5)
    assert loud @ encoder.embed(voiced(120) * np.float32(0.03)) == pytest.approx(1, abs=1e-3)


def test_the_same_sound_is_nearer_than_another(encoder: SpeakerEncoder) -> None:
    one = encoder.embed(voiced(110))
    assert one @ encoder.embed(voiced(110, seed=1)) > 0.95
    assert one @ encoder.embed(voiced(230, slope=0.5)) < 0.90


def test_any_length_is_taken_and_no_sound_refused(encoder: SpeakerEncoder) -> None:
    for count in (1, 100, 16_000, 40_001):
        assert np.isfinite(encoder.embed(voiced(120)[:count])).all()
    assert np.isfinite(encoder.embed(np.zeros(8_000, np.float32))).all()
    with pytest.raises(ValueError, match="no samples"):
        encoder.embed(np.zeros(0, np.float32))


def test_windows_cover_the_sound_with_overlap() -> None:
    assert window_starts(1) == [0]
    assert window_starts(16_000) == [0]
    starts = window_starts(160_000)
    assert starts[0] == 0
    assert set(np.diff(starts)) == {77}
    assert (starts[-1] + 160) * 160 >= 160_000 - 77 * 160


def test_the_fast_recurrence_is_the_plain_one() -> None:
    random = np.random.default_rng(0)
    size, width, steps = 3, 2, 4
    inputs = random.normal(size=(steps, 1, width)).astype(np.float32)
    w_in = random.normal(size=(width, 4 * size)).astype(np.float32)
    w_state = random.normal(size=(size, 4 * size)).astype(np.float32)
    bias = random.normal(size=4 * size).astype(np.float32)

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    hidden, cell = np.zeros(size), np.zeros(size)
    for step in range(steps):
        gates = inputs[step, 0] @ w_in + hidden @ w_state + bias
        enter, keep, new, leave = np.split(gates, 4)
        cell = sigmoid(keep) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        assert np.allclose(_lstm(inputs, w_in, w_state, bias)[step, 0], hidden, atol=1e-5)


def test_damaged_weights_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "speaker"
    folder.mkdir(parents=True)
    for content in (b"", b"PK\x03\x04 nothing"):
        (folder / "resemblyzer.npz").write_bytes(content)
        with pytest.raises(TaskError) as caught:
            SpeakerEncoder(tmp_path)
        assert caught.value.code == "model_missing"
