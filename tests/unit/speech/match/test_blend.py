"""Mixing timbres: the solver against a known answer, the choice by pitch, the space of timbres."""

from pathlib import Path

import numpy as np
import pytest

from workers.handler import TaskError
from workers.speech.match import blend
from workers.speech.match.timbres import DIRECTIONS, TIMBRE_SIZE, TimbreSpace

ASSETS = Path(__file__).resolve().parents[4] / "assets"


@pytest.fixture(scope="module")
def space() -> TimbreSpace:
    return TimbreSpace(ASSETS)


def test_the_solver_finds_a_known_answer() -> None:
    random = np.random.default_rng(3)
    matrix = random.normal(size=(60, 12))
    truth = np.maximum(random.normal(size=12), 0)
    assert np.allclose(blend.nnls(matrix, matrix @ truth), truth, atol=1e-9)


def test_the_solver_meets_the_conditions_of_the_best_answer() -> None:
    random = np.random.default_rng(4)
    matrix, wanted = random.normal(size=(80, 20)) + 0.3, random.normal(size=80)
    found = blend.nnls(matrix, wanted)
    slope = matrix.T @ (wanted - matrix @ found)
    assert np.all(found >= 0)
    assert np.all(slope[found == 0] < 1e-6)
    assert np.abs(slope[found > 0]).max() < 1e-6
    assert 0 < (found > 0).sum() < 20


def test_a_mix_is_recognised_and_the_weights_sum_to_one() -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(20, 256))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = 0.7 * vectors[3] + 0.3 * vectors[9]
    wanted /= np.linalg.norm(wanted)
    allowed = np.ones(20, np.bool_)
    found = blend.weights(vectors, wanted, allowed)
    assert found.sum() == pytest.approx(1)
    assert list(np.argsort(-found)[:2]) == [3, 9]
    allowed[3] = False
    without = blend.weights(vectors, wanted, allowed)
    assert without[3] == 0
    assert without.sum() == pytest.approx(1)


def test_candidates_are_of_about_the_pitch_and_never_too_few() -> None:
    pitches = np.log(np.array([90, 100, 110, 120, 130, 140, 150, 200, 210, 220, 230, 240, 250]))
    low = blend.candidates(pitches, float(np.log(110)))
    assert low[:7].all()
    assert not low[8:].any()
    assert blend.candidates(pitches, float(np.log(440))).sum() == blend.MIN_CHOICE


def test_coordinates_and_timbre_are_inverse(space: TimbreSpace) -> None:
    point = np.random.default_rng(0).normal(size=DIRECTIONS)
    assert np.allclose(space.coordinates(space.timbre(point)), point, atol=1e-3)
    all_points = space.coordinates(space.timbres)
    assert np.allclose(all_points.std(axis=0), 1, atol=1e-3)


def test_a_style_has_the_timbre_and_the_native_prosody(space: TimbreSpace) -> None:
    native = np.load(ASSETS / "voices" / "af_heart.npy").astype(np.float32)
    pack = space.style(space.timbres[space.names.index("af_heart")], native)
    assert np.array_equal(pack[:, TIMBRE_SIZE:], native[:, TIMBRE_SIZE:])
    # What was averaged away is small against what sets voices apart.
    lost = np.linalg.norm(pack[10:200, :TIMBRE_SIZE] - native[10:200, :TIMBRE_SIZE], axis=1).mean()
    other = np.linalg.norm(
        pack[10:200, :TIMBRE_SIZE]
        - space.style(space.timbres[space.names.index("bf_emma")], native)[10:200, :TIMBRE_SIZE],
        axis=1,
    ).mean()
    assert lost < 0.25 * other


def test_a_damaged_file_of_timbres_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "match"
    folder.mkdir(parents=True)
    for content in (b"", b"PK\x03\x04 nothing", b"x" * 1000):
        (folder / "timbres.npz").write_bytes(content)
        with pytest.raises(TaskError) as caught:
            TimbreSpace(tmp_path)
        assert caught.value.code == "model_missing"
