"""The search on a made-up world: a known mapping from points to speaker vectors, no model."""

from dataclasses import dataclass

import numpy as np
import pytest

from workers.speech.match import search
from workers.speech.match.surrogate import Surrogate
from workers.speech.match.target import Target, cosine
from workers.speech.match.trials import POINT_SIZE

RANDOM = np.random.default_rng(11)
MAPPING = RANDOM.normal(size=(POINT_SIZE, 512)) * 0.02
CURVE = RANDOM.normal(size=(POINT_SIZE, 512)) * 0.01
OFFSET = RANDOM.normal(size=512) * 0.05
SENTENCES = RANDOM.normal(size=(3, 512)) * 0.02


def world(point: np.ndarray, sentence: int | None = None) -> np.ndarray:
    """The speaker vector of a point: mostly linear, a little bent, a little of the sentence."""
    vector = OFFSET + point @ MAPPING + np.tanh(point) ** 2 @ CURVE
    return np.asarray(vector if sentence is None else vector + SENTENCES[sentence])


HIDDEN = np.clip(np.random.default_rng(5).normal(size=POINT_SIZE) * 0.8, -2, 2)
TARGET = Target(vectors=world(HIDDEN), pitch_hz=120.0, spectrum=np.zeros(513))


@dataclass
class Spoken:
    """What the stand-in for a profile keeps."""

    point: np.ndarray
    score: float = 0.0
    trials: int = 0


class Stage:
    """Stands in for the studio."""

    target = TARGET
    sentences = (("en", "a"), ("en", "b"), ("en", "c"))

    def __init__(self) -> None:
        self.spoken: list[tuple[bytes, int]] = []

    def point(self, start: Spoken) -> np.ndarray:
        return start.point

    def profile(self, point: np.ndarray) -> Spoken:
        return Spoken(point)

    def speak(self, profile: Spoken, index: int) -> tuple[np.ndarray, int]:
        self.spoken.append((profile.point.tobytes(), index))
        return profile.point, index

    def hear(self, take: tuple[np.ndarray, int]) -> np.ndarray:
        return world(*take)

    def finish(self, profile: Spoken, takes: list[tuple[np.ndarray, int]], trials: int) -> Spoken:
        heard = [cosine(self.hear(take), TARGET.vectors) for take in takes]
        return Spoken(profile.point, float(np.mean(heard)), trials)


def no_prior() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, POINT_SIZE)), np.zeros((0, 512))


def run(trials: int, seed: int = 1) -> tuple[Spoken, Stage, list[tuple[int, int]]]:
    stage, reports = Stage(), []
    found = search.refine(
        stage, Spoken(np.zeros(POINT_SIZE)), no_prior(), trials=trials, seed=seed,  # type: ignore[arg-type]
        report=lambda done, of: reports.append((done, of)),
    )  # fmt: skip
    return found, stage, reports  # type: ignore[return-value]


def test_a_few_dozen_trials_find_most_of_the_way() -> None:
    start = float(np.mean([cosine(world(np.zeros(POINT_SIZE), s), TARGET.vectors) for s in range(3)]))
    best = float(np.mean([cosine(world(HIDDEN, s), TARGET.vectors) for s in range(3)]))
    found, stage, reports = run(30)
    assert found.score > start + 0.7 * (best - start)
    assert found.trials == 30
    assert len(stage.spoken) == 30 + 3 * search.FINALISTS
    assert [done for done, _ in reports] == list(range(1, 30 + 3 * search.FINALISTS + 1))
    assert len({of for _, of in reports}) == 1


def test_the_same_seed_gives_the_same_voice_and_another_one_another() -> None:
    first, stage, _ = run(10)
    again, stage_again, _ = run(10)
    other, _, _ = run(10, seed=2)
    assert stage.spoken == stage_again.spoken
    assert np.array_equal(first.point, again.point)
    assert not np.array_equal(first.point, other.point)


def test_it_ends_at_once_when_told_so() -> None:
    class Enough(Exception):
        pass

    def stop(done: int, _: int) -> None:
        if done == 5:
            raise Enough

    stage = Stage()
    with pytest.raises(Enough):
        search.refine(stage, Spoken(np.zeros(POINT_SIZE)), no_prior(), trials=30, seed=1, report=stop)  # type: ignore[arg-type]
    assert len(stage.spoken) == 5


def test_nothing_worse_than_the_start_is_ever_returned() -> None:
    stage = Stage()
    found = search.refine(
        stage, Spoken(HIDDEN), no_prior(), trials=8, seed=3, report=lambda *_: None  # type: ignore[arg-type]
    )  # fmt: skip
    best = float(np.mean([cosine(world(HIDDEN, s), TARGET.vectors) for s in range(3)]))
    assert found.score >= best


def test_the_surrogate_tells_sentences_from_voices() -> None:
    guesser = Surrogate(np.zeros(POINT_SIZE))
    random = np.random.default_rng(0)
    points = random.normal(size=(40, POINT_SIZE))
    for index, point in enumerate(points):
        guesser.tell(point, index % 3, world(point, index % 3))
    guesser.fit(3)
    new = random.normal(size=(20, POINT_SIZE)) * 0.7
    truth = np.stack([world(point) for point in new]) + SENTENCES.mean(axis=0)
    error = np.linalg.norm(guesser.guess(new) - truth, axis=1).mean()
    spread = np.linalg.norm(truth - truth.mean(axis=0), axis=1).mean()
    assert error < 0.5 * spread
